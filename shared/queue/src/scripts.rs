//! The Lua scripts: each operation is one file, put together from shared parts named in its first lines, for one queue: what its keys begin
//! with and its options stand in the text as constants.

use crate::{Keys, Options, queue::millis};

/// Expired leases, due jobs and stale reservations that one call takes care of, each.
const COLLECT_LIMIT: u64 = 25;

const PARTS: &[(&str, &str)] = &[
    ("prelude", include_str!("scripts/prelude.lua")),
    ("pending", include_str!("scripts/pending.lua")),
    ("token", include_str!("scripts/token.lua")),
    ("history", include_str!("scripts/history.lua")),
    ("leave", include_str!("scripts/leave.lua")),
    ("reclaim", include_str!("scripts/reclaim.lua")),
    ("retain", include_str!("scripts/retain.lua")),
    ("isolated", include_str!("scripts/isolated.lua")),
    ("end_otherwise", include_str!("scripts/end_otherwise.lua")),
    ("unusual", include_str!("scripts/unusual.lua")),
    ("endings", include_str!("scripts/endings.lua")),
    ("add", include_str!("scripts/add.lua")),
    ("owner", include_str!("scripts/owner.lua")),
];

macro_rules! scripts {
    ($($operation:ident = $name:literal;)*) => {
        /// What a script does.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Operation { $($operation),* }

        impl Operation {
            const ALL: &[Operation] = &[$(Operation::$operation),*];

            /// Its name, for errors.
            pub fn name(self) -> &'static str {
                match self { $(Operation::$operation => $name),* }
            }

            fn body(self) -> &'static str {
                match self { $(Operation::$operation => include_str!(concat!("scripts/", $name, ".lua"))),* }
            }
        }
    };
}

scripts! {
    Turn = "turn";
    Renew = "renew";
    Collect = "collect";
    Hello = "hello";
    Goodbye = "goodbye";
    ReleaseAll = "release_all";
    Enqueue = "enqueue";
    Split = "split";
    Resolve = "resolve";
    Requeue = "requeue";
    Forget = "forget";
    Pause = "pause";
    Resume = "resume";
    RaiseToken = "raise_token";
    NextToken = "next_token";
    Lead = "lead";
    Resign = "resign";
    Stats = "stats";
    Groups = "groups";
    Prune = "prune";
    Own = "own";
    Probe = "probe";
    Take = "take";
}

impl Operation {
    /// It always writes, so its success shows that Redis takes writes. A claim may find nothing, an ending come too late.
    fn proves_writes(self) -> bool {
        matches!(
            self,
            Self::Probe
                | Self::Renew
                | Self::Collect
                | Self::Hello
                | Self::Lead
                | Self::RaiseToken
                | Self::NextToken
        )
    }
}

/// One script, ready for `EVALSHA`.
#[derive(Debug)]
pub(crate) struct Script {
    pub name: &'static str,
    pub proves_writes: bool,
    pub code: String,
    pub sha: String,
}

/// All scripts of one queue.
#[derive(Debug)]
pub(crate) struct Scripts(Vec<Script>);

impl Scripts {
    pub fn of(options: &Options) -> Self {
        // longer names before those that they begin with
        let constants = [
            ("TTL_MS", millis(options.ttl).to_string()),
            ("COLLECT_LIMIT", COLLECT_LIMIT.to_string()),
            (
                "RETAIN_DONE_MS",
                millis(options.retain_done_for).to_string(),
            ),
            ("RETAIN_DONE", options.retain_done.to_string()),
            (
                "WEIGHT_FIELD",
                format!("'{}'", escaped(&options.weight_field)),
            ),
        ];
        let base = format!("'{}", escaped(Keys::new(options).base()));
        let made = Operation::ALL.iter().map(|operation| {
            let mut code = assemble(operation.body());
            for (name, value) in &constants {
                code = code.replace(name, value);
            }
            // at last, so that nothing is looked for in what users choose
            let code = code.replace("'$", &base);
            let sha = redis::Script::new(&code).get_hash().to_owned();
            let name = operation.name();
            Script {
                name,
                proves_writes: operation.proves_writes(),
                code,
                sha,
            }
        });
        Self(made.collect())
    }

    pub fn get(&self, operation: Operation) -> &Script {
        &self.0[operation as usize]
    }
}

/// `text` inside single quotes in Lua.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.chars() {
        match byte {
            '\'' | '\\' => out.extend(['\\', byte]),
            '$' => out.push_str("\\036"),
            control if control.is_ascii_control() => {
                out.push_str(&format!("\\{:03}", control as u32));
            }
            other => out.push(other),
        }
    }
    out
}

/// Directives are comments at the top of a script: `-- @include PART …` puts parts there, `-- @rarely PART …` puts them into a function
/// `rare()` that makes what they define on its first call, since a hot script would otherwise make it all on every call.
fn assemble(body: &str) -> String {
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
    code.lines()
        .filter(|line| !line.trim_start().starts_with("--") && !line.trim().is_empty())
        .fold(String::new(), |mut text, line| {
            text.push_str(line);
            text.push('\n');
            text
        })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_script_is_complete() {
        let scripts = Scripts::of(&Options::new("redis://127.0.0.1", "infer"));
        for operation in Operation::ALL {
            let Script { name, code, .. } = scripts.get(*operation);
            assert_eq!(*name, operation.name());
            assert!(
                code.starts_with("local clock"),
                "{name} does not begin with the prelude"
            );
            for left in [
                "'$",
                "@include",
                "TTL_MS",
                "COLLECT_LIMIT",
                "RETAIN_DONE",
                "WEIGHT_FIELD",
            ] {
                assert!(!code.contains(left), "{name} has {left} left");
            }
        }
        for (name, body) in PARTS {
            assert!(!body.contains("@include"), "{name} includes another part");
        }
    }

    #[test]
    fn names_cannot_end_a_text() {
        let mut options = Options::new("redis://127.0.0.1", "it's \\ a\nqueue");
        options.weight_field = "'$TTL_MS".to_owned();
        let scripts = Scripts::of(&options);
        let code = &scripts.get(Operation::Enqueue).code;
        assert!(
            code.contains(r"'weldfleet:{it\'s \\ a\010queue}:job:'"),
            "{code}"
        );
        assert!(code.contains(r"'\'\036TTL_MS'"), "{code}");
    }

    #[test]
    fn a_queue_may_be_called_like_an_option() {
        let options = Options::new("redis://127.0.0.1", "TTL_MS$WEIGHT_FIELD");
        let scripts = Scripts::of(&options);
        let code = &scripts.get(Operation::Turn).code;
        let base = Keys::new(&options).base().replace('$', "\\036");
        assert!(code.contains(&format!("'{base}pending'")), "{code}");
    }
}
