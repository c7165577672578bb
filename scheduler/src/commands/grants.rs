//! `scheduler migrate --grants`: accounts with the least rights, as the statements that make them. Passwords are
//! placeholders.

use std::fmt::Write as _;

use weldfleet_service::{Exit, Failure, outln};
use weldfleet_settings::Settings;
use weldfleet_stores::grants::{Privilege, Role, Store, privileges};

use crate::dependencies::store_failure;

/// What the console's account may ask of ClickHouse at most. `readonly = 2` lets it send the settings that our
/// statements depend on, and change nothing.
const CONSOLE_LIMITS: [(&str, u64); 3] = [
    ("max_execution_time", 10),
    ("max_memory_usage", 2_000_000_000),
    ("max_rows_to_read", 2_000_000_000),
];

/// What an account may do in Redis, and what it is for. The protocol is scripts over plain types.
const COMMANDS: [(&str, &str); 10] = [
    ("ping", "looks whether it is there"),
    ("eval", "sends the queue's scripts"),
    ("evalsha", "runs those that the server has"),
    ("@string", "tokens, the pause, the leader"),
    ("@hash", "jobs, workers, counts"),
    ("@list", "wakes workers, the breaker's window"),
    ("@set", "groups of jobs"),
    ("@sortedset", "states of jobs, by time and priority"),
    (
        "@keyspace",
        "deletes, expires and looks for keys of the queue",
    ),
    ("time", "the queue's clock"),
];
/// What nobody needs who only looks.
const NOT_TO_LOOK: [&str; 1] = ["@list"];
/// Through Sentinel alone.
const ROLE: (&str, &str) = ("role", "tells a primary from a replica");
/// Where the queue is not in database 0.
const SELECT: (&str, &str) = ("select", "goes to the database that the url names");
/// After the categories: of what is dangerous in them, what is needed.
const SERVER: (&str, &str) = (
    "info",
    "names the server's version, role and settings that put jobs at risk",
);

pub fn run(settings: &Settings) -> Result<Exit, Failure> {
    let privileges = privileges(settings).map_err(store_failure)?;
    outln!("{}", text(settings, &privileges).trim_end());
    Ok(Exit::Done)
}

fn text(settings: &Settings, privileges: &[Privilege]) -> String {
    let mut out = String::from(
        "-- Run this as an admin, who also runs `scheduler migrate`: no account below may create or alter a table.\n\
         -- Replace each PASSWORD_OF_… first.\n\n-- ClickHouse\n",
    );
    for role in Role::ALL {
        let account = role.account();
        let _ = writeln!(
            out,
            "CREATE USER IF NOT EXISTS {account} IDENTIFIED BY '{}';",
            password(role)
        );
    }
    let limits: Vec<String> = CONSOLE_LIMITS
        .iter()
        .map(|(name, most)| format!("{name} = {most} MIN 1 MAX {most}"))
        .collect();
    let console = Role::Console.account();
    let _ = writeln!(
        out,
        "CREATE SETTINGS PROFILE IF NOT EXISTS {console} SETTINGS readonly = 2, {} TO {console};",
        limits.join(", ")
    );
    grants(&mut out, privileges, Store::ClickHouse, |role| {
        role.account().to_owned()
    });
    if settings.mysql.enabled {
        let host = |role: Role| format!("'{}'@'%'", role.account());
        out.push_str("\n-- MySQL\n");
        for role in Role::ALL {
            let _ = writeln!(
                out,
                "CREATE USER IF NOT EXISTS {} IDENTIFIED BY '{}';",
                host(role),
                password(role)
            );
        }
        grants(&mut out, privileges, Store::MySql, host);
    }
    out.push_str(
        "\n# Redis, from 7.0 on; before, leave out what is in brackets. On every node, replicas too: ACLs are not replicated\n",
    );
    let url = settings.redis.url.expose();
    let role = url.contains("+sentinel://").then_some(ROLE);
    let database = url
        .rsplit('/')
        .next()
        .and_then(|last| last.parse::<u32>().ok());
    let select = database.is_some_and(|number| number > 0).then_some(SELECT);
    let server: Vec<(&str, &str)> = [SERVER].into_iter().chain(role).chain(select).collect();
    for (command, why) in COMMANDS.iter().chain(&server) {
        let _ = writeln!(out, "# {command}: {why}");
    }
    let keys = format!("weldfleet:{{{}}}:", settings.redis.queue);
    for role in Role::ALL {
        let _ = writeln!(
            out,
            "ACL SETUSER {} reset on \">{}\" \"~{keys}*\" -@all {}",
            role.account(),
            password(role),
            commands(role, &keys, &server)
        );
    }
    out
}

/// The console reads: what writes is taken away again, which holds inside of scripts too.
fn commands(role: Role, keys: &str, server: &[(&str, &str)]) -> String {
    let needed = |&&(name, _): &&(&str, _)| role != Role::Console || !NOT_TO_LOOK.contains(&name);
    let all = COMMANDS.iter().filter(needed);
    let all = all.map(|(name, _)| format!("+{name}"));
    let server = server.iter().filter(needed);
    let server = server.map(|(name, _)| format!("+{name}"));
    let taken = match role {
        Role::Console => &["-@dangerous", "-@write"][..],
        _ => &["-@dangerous"],
    };
    let taken = taken.iter().map(|&name| name.to_owned());
    // Whether Redis takes writes is tried with a key of its own.
    let probe = (role == Role::Console).then(|| format!("\"(~{keys}probe -@all +set +del)\""));
    all.chain(taken)
        .chain(server)
        .chain(probe)
        .collect::<Vec<_>>()
        .join(" ")
}

fn grants(out: &mut String, privileges: &[Privilege], store: Store, name: impl Fn(Role) -> String) {
    for privilege in privileges
        .iter()
        .filter(|privilege| privilege.store == store)
    {
        let Privilege {
            role,
            what,
            on,
            why,
            ..
        } = privilege;
        let _ = writeln!(out, "GRANT {what} ON {on} TO {}; -- {why}", name(*role));
    }
}

/// Nobody's password: a word to be replaced.
fn password(role: Role) -> String {
    format!("PASSWORD_OF_{}", role.account().to_uppercase())
}

#[cfg(test)]
mod tests {
    use weldfleet_settings::Secret;

    use super::*;

    #[test]
    fn another_database_is_gone_to_and_a_shell_leaves_the_pattern_alone() {
        let of = |url: &str| {
            let mut settings = Settings::default();
            settings.redis.url = Secret::new(url);
            let text = text(&settings, &[]);
            let lines = text.lines().filter(|line| line.starts_with("ACL "));
            lines.map(str::to_owned).collect::<Vec<_>>()
        };
        let lines = of("redis://h:6379/3");
        assert_eq!(lines.len(), 3);
        for line in lines {
            assert!(line.contains(" +select"), "{line}");
            assert!(line.contains(" \"~weldfleet:{infer}:*\" "), "{line}");
        }
        for url in [
            "redis://h:6379/0",
            "redis://h:6379",
            "redis+cluster://h:1,i:2",
        ] {
            assert!(!of(url).concat().contains("select"), "{url}");
        }
    }
}
