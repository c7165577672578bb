//! The file of users: TOML, readable by its owner alone.

use std::{
    fs::{self, OpenOptions},
    io::{ErrorKind, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};

use super::Users;

const HEAD: &str = "# kept by `scheduler users`; whoever can read it can sign in as anybody\n";

/// What the file holds; `None` if there is none.
pub fn read(path: &Path) -> Result<Option<Users>, String> {
    let named = |problem: String| format!("console.users_file = \"{}\": {problem}", path.display());
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(named(error.to_string())),
    };
    // No message of the parser's: it quotes lines.
    let users = toml::from_str(&text).map_err(|error| {
        let line = error.span().map(|span| text[..span.start].lines().count());
        let at = line.map_or_else(String::new, |line| format!(" near line {line}"));
        named(format!("is not what `scheduler users` writes{at}"))
    })?;
    Ok(Some(users))
}

/// Puts them in place of what is there, whole.
pub fn save(path: &Path, users: &Users) -> Result<(), String> {
    let named = |error: &dyn std::fmt::Display| {
        format!("console.users_file = \"{}\": {error}", path.display())
    };
    let text = toml::to_string(users).map_err(|error| named(&error))?;
    let mut new = path.as_os_str().to_owned();
    new.push(format!(".{}", uuid::Uuid::new_v4().simple()));
    let new = PathBuf::from(new);
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&new)
        .and_then(|mut file| {
            file.write_all(format!("{HEAD}{text}").as_bytes())?;
            file.sync_all()
        })
        .and_then(|()| fs::rename(&new, path));
    written.map_err(|error| {
        let _ = fs::remove_file(&new);
        named(&error)
    })
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
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
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
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::users::{Role, User};

    #[test]
    fn it_is_the_owners_alone_and_seen_anew_when_it_changes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("users.toml");
        let file = UsersFile::new(path.clone());
        assert!(file.users().unwrap_err().contains("scheduler users add"));

        let mut users = Users::nobody();
        save(&path, &users).unwrap();
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        assert_eq!(*file.users().unwrap(), users);
        let user = User::new(Role::Viewer, None);
        users.users.insert("li".parse().unwrap(), user);
        save(&path, &users).unwrap();
        assert_eq!(*file.users().unwrap(), users);
        assert_eq!(read(&path).unwrap(), Some(users));
        assert_eq!(
            fs::read_dir(folder.path()).unwrap().count(),
            1,
            "nothing is left beside it"
        );
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
