//! `scheduler users`: who may sign in to the console.

use std::io::{IsTerminal as _, Read as _, stdin};

use weldfleet_service::{Exit, Failure, OrExit as _, out, outln, output::table};
use weldfleet_settings::Settings;

use super::{keep, operator};
use crate::{
    args::{NewPassword, UsersCommand},
    users::{self, Name, User, Users},
};

pub async fn run(settings: &Settings, what: UsersCommand) -> Result<Exit, Failure> {
    let path = &settings.console.users_file;
    if path.as_os_str().is_empty() {
        return Err(Failure::usage(
            "console.users_file is not set; name a file that only the schedulers and you can read",
        ));
    }
    let failed = |why: String| Failure::new(Exit::Failed, anyhow::anyhow!(why));
    let known = users::read(path).map_err(failed)?;
    let mut users = known.unwrap_or_else(Users::nobody);
    let (name, action, detail) = match what {
        UsersCommand::List => return list(&users),
        UsersCommand::Add {
            name,
            role,
            password,
        } => {
            if users.users.contains_key(&name) {
                return Err(Failure::usage(format!(
                    "there is a user {name}; `scheduler users role` changes the role, `scheduler users password` the password"
                )));
            }
            let password = read_password(&password)?;
            users.users.insert(name.clone(), User::new(role, password));
            (name, "users add", role.name())
        }
        UsersCommand::Remove { name } => {
            known_user(&mut users, &name)?;
            users.users.remove(&name);
            (name, "users remove", "")
        }
        UsersCommand::Role { name, role } => {
            known_user(&mut users, &name)?.role = role;
            (name, "users role", role.name())
        }
        UsersCommand::Password { name, password } => {
            known_user(&mut users, &name)?;
            let password = read_password(&password)?;
            let user = known_user(&mut users, &name)?;
            *user = User::new(user.role, password);
            (name, "users password", "")
        }
    };
    users::save(path, &users).map_err(failed)?;
    let event = operator("").event(action, format!("user {name}"), detail);
    keep(settings, &[event]).await;
    let detail = if detail.is_empty() {
        String::new()
    } else {
        format!(" ({detail})")
    };
    outln!("{action} {name}{detail}: done; running schedulers see it at once");
    Ok(Exit::Done)
}

fn known_user<'u>(users: &'u mut Users, name: &Name) -> Result<&'u mut User, Failure> {
    users.users.get_mut(name).ok_or_else(|| {
        Failure::usage(format!(
            "there is no user {name}; `scheduler users list` shows those there are"
        ))
    })
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
        let password = rpassword::prompt_password("password: ").or_exit(Exit::Usage)?;
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
