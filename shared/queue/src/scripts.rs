//! The Lua scripts: each operation is one file, put together from shared parts named in its first line.

use std::sync::LazyLock;

/// One script, ready for `EVALSHA`.
#[derive(Debug)]
pub(crate) struct Script {
    /// Name of the operation, for errors.
    pub name: &'static str,
    pub code: String,
    pub sha: String,
}

const PARTS: &[(&str, &str)] = &[
    ("prelude", include_str!("scripts/prelude.lua")),
    ("pending", include_str!("scripts/pending.lua")),
    ("token", include_str!("scripts/token.lua")),
    ("history", include_str!("scripts/history.lua")),
    ("leave", include_str!("scripts/leave.lua")),
    ("collect_part", include_str!("scripts/collect_part.lua")),
    ("retain", include_str!("scripts/retain.lua")),
    ("solo", include_str!("scripts/solo.lua")),
    ("endings", include_str!("scripts/endings.lua")),
    ("add", include_str!("scripts/add.lua")),
];

/// Directives are comments at the top of a script: `-- @include PART …` puts parts there, `-- @rarely PART …` puts them into a function
/// `rare()` that makes what they define on its first call, since a hot script would otherwise make it all on every call.
fn assemble(name: &'static str, body: &str) -> Script {
    let part = |wanted: &str| {
        let found = PARTS.iter().find(|(known, _)| *known == wanted);
        found.map_or("", |(_, text)| *text)
    };
    let mut code = String::new();
    for line in body.lines() {
        if let Some(wanted) = line.strip_prefix("-- @include ") {
            code.extend(wanted.split_whitespace().map(part));
        } else if let Some(wanted) = line.strip_prefix("-- @rarely ") {
            let text: String = wanted.split_whitespace().map(part).collect();
            let names: Vec<_> = defined(&text)
                .map(|name| format!("{name} = {name}"))
                .collect();
            code.push_str("local rare_parts\nlocal function rare()\nif rare_parts then return rare_parts end\n");
            code.push_str(&text);
            code.push_str(&format!(
                "rare_parts = {{{}}}\nreturn rare_parts\nend\n",
                names.join(", ")
            ));
        }
    }
    code.push_str(body);
    // Comments cost the server nothing at run time, but it keeps every script in memory: send the code only.
    let code: String = code
        .lines()
        .filter(|line| !line.trim_start().starts_with("--") && !line.trim().is_empty())
        .fold(String::new(), |mut text, line| {
            text.push_str(line);
            text.push('\n');
            text
        });
    let sha = redis::Script::new(&code).get_hash().to_owned();
    Script { name, code, sha }
}

/// Names that a part defines at its top level.
fn defined(part: &str) -> impl Iterator<Item = &str> {
    part.lines().filter_map(|line| {
        let rest = line.strip_prefix("local ")?;
        let rest = rest.strip_prefix("function ").unwrap_or(rest);
        rest.split(|letter: char| !letter.is_alphanumeric() && letter != '_')
            .next()
    })
}

macro_rules! scripts {
    ($($constant:ident = $name:literal;)*) => {
        $(pub(crate) static $constant: LazyLock<Script> =
            LazyLock::new(|| assemble($name, include_str!(concat!("scripts/", $name, ".lua"))));)*

        #[cfg(test)]
        fn all() -> Vec<&'static Script> { vec![$(&$constant),*] }
    };
}

scripts! {
    TURN = "turn";
    RENEW = "renew";
    COLLECT = "collect";
    HELLO = "hello";
    GOODBYE = "goodbye";
    RELEASE_ALL = "release_all";
    ENQUEUE = "enqueue";
    SPLIT = "split";
    RESOLVE = "resolve";
    REQUEUE = "requeue";
    FORGET = "forget";
    PAUSE = "pause";
    RESUME = "resume";
    RAISE_TOKEN = "raise_token";
    NEXT_TOKEN = "next_token";
    LEAD = "lead";
    RESIGN = "resign";
    STATS = "stats";
    GROUPS = "groups";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_script_names_parts_that_exist() {
        for script in all() {
            let body = script.code.lines().next().unwrap_or_default();
            assert!(
                body.starts_with("local base"),
                "{} does not begin with the prelude",
                script.name
            );
        }
        for (name, body) in PARTS {
            assert!(!body.contains("@include"), "{name} includes another part");
        }
    }
}
