//! `scheduler users`: who may sign in to the console.

use std::io::{IsTerminal as _, Read as _, stdin};

use weldfleet_service::{Exit, Failure, OrExit as _, out, outln, output::table};
use weldfleet_settings::Settings;

use super::{keep, operator};
use crate::{
    args::{NewPassword, UsersCommand},
    users::{self, User, Users},
};

pub async fn run(settings: &Settings, what: UsersCommand) -> Result<Exit, Failure> {
    let path = &settings.console.users_file;
    if path.as_os_str().is_empty() {
        return Err(Failure::usage(
            "console.users_file is not set; name a file that only the schedulers and you can read",
        ));
    }
    let failed = |why: String| Failure::new(Exit::Failed, anyhow::anyhow!(why));
    let known = |users: Result<Option<Users>, String>| {
        let users = users.map_err(failed)?;
        Ok::<_, Failure>(users.unwrap_or_else(Users::nobody))
    };
    let users = known(users::read(path))?;
    if matches!(what, UsersCommand::List) {
        return list(&users);
    }
    // Before anybody types a password, and again when nobody else changes the file.
    check(&users, &what)?;
    let password = match &what {
        UsersCommand::Add { password, .. } | UsersCommand::Password { password, .. } => {
            read_password(password)?
        }
        _ => None,
    };
    let file = users::lock(path).map_err(failed)?;
    let mut users = known(file.read())?;
    check(&users, &what)?;
    let by = operator(reason(&what));
    let (name, action, detail) = change(&mut users, what, password);
    file.save(&users).map_err(failed)?;
    drop(file);
    let event = by.event(action, format!("user {name}"), detail);
    keep(settings, &[event]).await;
    let detail = if detail.is_empty() {
        String::new()
    } else {
        format!(" ({detail})")
    };
    outln!("{action} {name}{detail}: done; running schedulers see it at once");
    Ok(Exit::Done)
}

fn check(users: &Users, what: &UsersCommand) -> Result<(), Failure> {
    let (name, is_new) = match what {
        UsersCommand::List => return Ok(()),
        UsersCommand::Add { name, .. } => (name, true),
        UsersCommand::Remove { name, .. }
        | UsersCommand::Role { name, .. }
        | UsersCommand::Password { name, .. } => (name, false),
    };
    match (users.users.contains_key(name), is_new) {
        (true, true) => Err(Failure::usage(format!(
            "there is a user {name}; `scheduler users role` changes the role, `scheduler users password` the password"
        ))),
        (false, false) => Err(Failure::usage(format!(
            "there is no user {name}; `scheduler users list` shows those there are"
        ))),
        _ => Ok(()),
    }
}

fn reason(what: &UsersCommand) -> &str {
    match what {
        UsersCommand::List => "",
        UsersCommand::Add { why, .. }
        | UsersCommand::Remove { why, .. }
        | UsersCommand::Role { why, .. }
        | UsersCommand::Password { why, .. } => &why.reason,
    }
}

/// Whom it was about, what was done, and more about it.
fn change(
    users: &mut Users,
    what: UsersCommand,
    password: Option<String>,
) -> (String, &'static str, &'static str) {
    let users = &mut users.users;
    match what {
        UsersCommand::List => Default::default(),
        UsersCommand::Add { name, role, .. } => {
            users.insert(name.clone(), User::new(role, password));
            (name.into(), "users add", role.name())
        }
        UsersCommand::Remove { name, .. } => {
            users.remove(&name);
            (name.into(), "users remove", "")
        }
        UsersCommand::Role { name, role, .. } => {
            users
                .entry(name.clone())
                .and_modify(|user| user.role = role);
            (name.into(), "users role", role.name())
        }
        UsersCommand::Password { name, .. } => {
            let user = users.entry(name.clone());
            user.and_modify(|user| *user = User::new(user.role, password));
            (name.into(), "users password", "")
        }
    }
}

fn list(users: &Users) -> Result<Exit, Failure> {
    let rows = users.users.iter().map(|(name, user)| {
        let signs_in = if user.password.is_some() {
            "by password"
        } else {
            "by a proxy only"
        };
        vec![
            name.to_string(),
            user.role.name().to_owned(),
            signs_in.to_owned(),
        ]
    });
    let rows: Vec<Vec<String>> = rows.collect();
    if rows.is_empty() {
        outln!("nobody");
    } else {
        out!("{}", table(&["name", "role", "signs in"], &rows));
    }
    Ok(Exit::Done)
}

/// Its hash; `None` if there is to be none.
fn read_password(how: &NewPassword) -> Result<Option<String>, Failure> {
    if how.no_password {
        return Ok(None);
    }
    let password = if how.password_stdin {
        let mut text = String::new();
        stdin().read_to_string(&mut text).or_exit(Exit::Usage)?;
        text.trim_end_matches(['\r', '\n']).to_owned()
    } else if stdin().is_terminal() {
        let password = rpassword::prompt_password("password, at least 10 characters: ")
            .or_exit(Exit::Usage)?;
        if rpassword::prompt_password("again: ").or_exit(Exit::Usage)? != password {
            return Err(Failure::usage("the two differ"));
        }
        password
    } else {
        return Err(Failure::usage(
            "there is no terminal to ask for the password; give it with --password-stdin",
        ));
    };
    if let Some(why) = users::too_weak(&password) {
        return Err(Failure::usage(why));
    }
    let hash = users::hash(&password);
    hash.map(Some)
        .map_err(|why| Failure::new(Exit::Failed, anyhow::anyhow!(why)))
}
