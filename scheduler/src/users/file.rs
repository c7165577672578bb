//! The file of users: TOML, readable by its owner alone.

use std::{
    fs::{self, File, OpenOptions, Permissions},
    io::{ErrorKind, Write as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, fchown},
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::SystemTime,
};

use super::Users;

const HEAD: &str = "# kept by `scheduler users`; whoever can read it can sign in as anybody\n";

/// What the file holds; `None` if there is none.
pub fn read(path: &Path) -> Result<Option<Users>, String> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(in_file(path, error)),
    };
    // No message of the parser's: it quotes lines.
    let users = toml::from_str(&text).map_err(|error| {
        let line = error.span().map(|span| text[..span.start].lines().count());
        let at = line.map_or_else(String::new, |line| format!(" near line {line}"));
        in_file(
            path,
            format_args!("is not what `scheduler users` writes{at}"),
        )
    })?;
    Ok(Some(users))
}

/// Until it is dropped nobody else changes the file.
#[derive(Debug)]
pub struct Locked {
    /// The file itself, where the path is a link to it.
    path: PathBuf,
    _lock: File,
}

/// Waits for whoever changes it at this moment.
pub fn lock(path: &Path) -> Result<Locked, String> {
    let path = match fs::canonicalize(path) {
        Ok(path) => path,
        Err(error) if error.kind() == ErrorKind::NotFound && !path.is_symlink() => path.to_owned(),
        Err(error) => return Err(in_file(path, error)),
    };
    let beside = beside(&path, "lock");
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false).mode(0o600);
    let lock = options.open(&beside).and_then(|lock| {
        lock.lock()?;
        Ok(lock)
    });
    let lock = lock.map_err(|error| in_file(&beside, error))?;
    give(&lock, &path).inspect_err(|_| {
        // Whose it is could not open it.
        let _ = fs::remove_file(&beside);
    })?;
    Ok(Locked { path, _lock: lock })
}

impl Locked {
    pub fn read(&self) -> Result<Option<Users>, String> {
        read(&self.path)
    }

    /// Puts them in place of what is there, whole, with its owner.
    pub fn save(&self, users: &Users) -> Result<(), String> {
        let path = &self.path;
        let text = toml::to_string(users).map_err(|error| in_file(path, error))?;
        let new = beside(path, &uuid::Uuid::new_v4().simple().to_string());
        let written = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&new)
            .map_err(|error| in_file(path, error))
            .and_then(|mut file| {
                let mode = give(&file, path)?;
                file.set_permissions(Permissions::from_mode(mode))
                    .and_then(|()| file.write_all(format!("{HEAD}{text}").as_bytes()))
                    .and_then(|()| file.sync_all())
                    .and_then(|()| fs::rename(&new, path))
                    .map_err(|error| in_file(path, error))
            });
        written.inspect_err(|_| {
            let _ = fs::remove_file(&new);
        })
    }
}

fn in_file(path: &Path, error: impl std::fmt::Display) -> String {
    format!("console.users_file = \"{}\": {error}", path.display())
}

fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{end}"));
    PathBuf::from(name)
}

/// Gives a new file to whom the one at `path` belongs, since a scheduler that cannot read it lets nobody in; answers
/// the mode that it is to have. The first that root makes goes to whom the folder belongs.
fn give(new: &File, path: &Path) -> Result<u32, String> {
    let folder = path.parent().filter(|it| !it.as_os_str().is_empty());
    let owners = || -> std::io::Result<_> {
        let is = new.metadata()?;
        Ok(match fs::metadata(path) {
            // A group that was let in stays in.
            Ok(there) => (is, there.uid(), there.gid(), 0o600 | there.mode() & 0o040),
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            Err(_) if is.uid() == 0 => {
                let folder = fs::metadata(folder.unwrap_or(Path::new(".")))?;
                (is, folder.uid(), folder.gid(), 0o600)
            }
            Err(_) => (is.clone(), is.uid(), is.gid(), 0o600),
        })
    };
    let (is, user, group, mode) = owners().map_err(|error| in_file(path, error))?;
    if (is.uid(), is.gid()) != (user, group) {
        fchown(new, Some(user), Some(group)).map_err(|error| {
            let why = format!(
                "belongs to {user}:{group}, to whom this account may give no file ({error}); \
                 run this as that one: `sudo -u '#{user}' -g '#{group}' scheduler users …`"
            );
            in_file(path, why)
        })?;
    }
    Ok(mode)
}

/// The file as running schedulers see it. Cheap to clone.
#[derive(Clone)]
pub struct UsersFile {
    path: PathBuf,
    seen: Arc<Mutex<Option<LastRead>>>,
}

/// What was read last.
type LastRead = (Version, Arc<Users>);

/// What tells a file from the one before.
type Version = (SystemTime, u64);

impl UsersFile {
    pub fn new(path: PathBuf) -> Self {
        Self {
            path,
            seen: Arc::default(),
        }
    }

    /// What it holds now; read only if it has changed.
    pub fn users(&self) -> Result<Arc<Users>, String> {
        let missing = || {
            format!(
                "console.users_file = \"{}\" does not exist; `scheduler users add NAME --role operator` makes it",
                self.path.display()
            )
        };
        let version = fs::metadata(&self.path)
            .and_then(|file| Ok((file.modified()?, file.len())))
            .map_err(|_| missing())?;
        let mut seen = weldfleet_service::lock(&self.seen);
        if let Some((of, users)) = &*seen
            && *of == version
        {
            return Ok(users.clone());
        }
        let users = Arc::new(read(&self.path)?.ok_or_else(missing)?);
        *seen = Some((version, users.clone()));
        Ok(users)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::users::{Role, User};

    #[test]
    fn it_is_the_owners_alone_and_seen_anew_when_it_changes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("users.toml");
        let file = UsersFile::new(path.clone());
        assert!(file.users().unwrap_err().contains("scheduler users add"));

        let mut users = Users::nobody();
        let save = |users: &Users| lock(&path).unwrap().save(users).unwrap();
        save(&users);
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        assert_eq!(*file.users().unwrap(), users);
        let user = User::new(Role::Viewer, None);
        users.users.insert("li".parse().unwrap(), user);
        save(&users);
        assert_eq!(*file.users().unwrap(), users);
        assert_eq!(read(&path).unwrap(), Some(users));
        assert_eq!(
            fs::read_dir(folder.path()).unwrap().count(),
            2,
            "nothing is left beside it but the lock"
        );
    }

    #[test]
    fn a_link_stays_one_and_owner_and_group_stay() {
        let folder = tempfile::tempdir().unwrap();
        let (path, link) = (folder.path().join("users.toml"), folder.path().join("link"));
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert!(lock(&link).is_err(), "a link to nothing");
        let users = Users::nobody();
        lock(&path).unwrap().save(&users).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        let we = fs::metadata(&path).unwrap().uid();
        let owner = if we == 0 { 12345 } else { we };
        if we == 0 {
            std::os::unix::fs::chown(&path, Some(owner), Some(owner)).unwrap();
        }
        lock(&link).unwrap().save(&users).unwrap();
        assert!(link.is_symlink() && !path.is_symlink());
        let file = fs::metadata(&path).unwrap();
        assert_eq!((file.uid(), file.mode() & 0o777), (owner, 0o640));
        assert_eq!(fs::metadata(beside(&path, "lock")).unwrap().uid(), owner);
        assert_eq!(read(&link).unwrap(), Some(users));
    }

    #[test]
    fn what_root_makes_belongs_to_whom_its_folder_does() {
        let folder = tempfile::tempdir().unwrap();
        if fs::metadata(folder.path()).unwrap().uid() != 0 {
            return;
        }
        std::os::unix::fs::chown(folder.path(), Some(12345), Some(12346)).unwrap();
        let path = folder.path().join("users.toml");
        lock(&path).unwrap().save(&Users::nobody()).unwrap();
        let file = fs::metadata(&path).unwrap();
        assert_eq!((file.uid(), file.gid()), (12345, 12346));
    }

    #[test]
    fn what_is_wrong_with_it_is_said_without_its_secrets() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("users.toml");
        for text in [
            "secret = hunter2hunter2",
            "secret = \"hunter2\"\n[users.li]\nrole = \"king\"\n",
            "secret = \"hunter2\"\n[users.li]\nrole = \"viewer\"\npasword = \"hunter2\"\n",
        ] {
            fs::write(&path, text).unwrap();
            let why = read(&path).unwrap_err();
            assert!(
                why.contains("console.users_file") && why.contains("line"),
                "{why}"
            );
            assert!(!why.contains("hunter2"), "{why}");
        }
    }
}
