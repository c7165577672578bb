//! The Lua scripts. Each operation of the protocol is one file, `scripts/<operation>.lua`, whose head says what it is
//! told and what it answers. A line `-- @include NAME …` is replaced by these functions, one a file in
//! `scripts/includes/`, with what they include themselves, unless they are there already. It stands at the top, or, for
//! what is rarely needed, where it is needed: Lua makes every function anew that a run comes by. Nothing else is done
//! to the text but that comments are left out, since Redis would keep them; so all queues share the scripts.

use std::{collections::BTreeSet, sync::LazyLock};

macro_rules! includes {
    ($($name:literal)*) => {
        const INCLUDES: &[(&str, &str)] = &[$(($name, include_str!(concat!("scripts/includes/", $name, ".lua")))),*];
    };
}

includes! {
    "ask_leases" "add_job" "bump_plan" "check_guard" "claim" "collect_due" "constants" "count" "count_lost" "drop_lost" "due_at" "end_lease" "examine_job" "expire_lease" "expire_leases" "finish_job" "finish_undone"
    "forget_lease" "free_reservations" "held_until" "history_with" "issue_token" "lease_jobs" "leave_group" "leave_lease" "next_due" "note_activity" "number" "pending_score"
    "prelude" "promote_delayed" "read_endings" "read_job" "read_jobs" "refuse_foreign" "reserve" "resolve_undone" "resolve_expired" "return_job"
    "take_isolated" "take_pending" "tend_queue" "token_after" "trim_done" "wake"
}

macro_rules! operations {
    ($($operation:ident = $name:literal;)*) => {
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Operation { $($operation),* }

        impl Operation {
            const ALL: &[Operation] = &[$(Operation::$operation),*];

            /// As errors and the log call it.
            pub fn name(self) -> &'static str {
                match self { $(Operation::$operation => $name),* }
            }

            fn body(self) -> &'static str {
                match self { $(Operation::$operation => include_str!(concat!("scripts/", $name, ".lua"))),* }
            }
        }
    };
}

operations! {
    Turn = "turn";
    Settle = "settle";
    GiveBack = "give_back";
    Renew = "renew";
    Collect = "collect";
    Register = "register";
    Deregister = "deregister";
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
    Waiting = "waiting";
    Groups = "groups";
    Prune = "prune";
    Revoke = "revoke";
    Own = "own";
    Probe = "probe";
    Take = "take";
    Repair = "repair";
    Recount = "recount";
}

impl Operation {
    /// It always writes, so its success shows that Redis takes writes. A claim may find nothing, an ending come too
    /// late.
    fn proves_writes(self) -> bool {
        matches!(
            self,
            Self::Probe
                | Self::Renew
                | Self::Collect
                | Self::Register
                | Self::Lead
                | Self::RaiseToken
                | Self::NextToken
        )
    }

    pub fn script(self) -> &'static Script {
        static SCRIPTS: LazyLock<Vec<Script>> = LazyLock::new(|| {
            let operations = Operation::ALL.iter();
            operations.map(|operation| Script::of(*operation)).collect()
        });
        &SCRIPTS[self as usize]
    }
}

/// One argument of a script.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Arg<'a> {
    Text(&'a str),
    Number(u64),
}

/// One script, ready for `EVALSHA`.
#[derive(Debug)]
pub(crate) struct Script {
    pub name: &'static str,
    pub proves_writes: bool,
    pub code: String,
    pub sha: String,
}

impl Script {
    fn of(operation: Operation) -> Self {
        let mut text = String::new();
        put_together(operation.body(), &mut BTreeSet::new(), &mut text);
        let code: String = text
            .lines()
            .filter(|line| !line.trim_start().starts_with("--") && !line.trim().is_empty())
            .flat_map(|line| [line, "\n"])
            .collect();
        Self {
            name: operation.name(),
            proves_writes: operation.proves_writes(),
            sha: redis::Script::new(&code).get_hash().to_owned(),
            code,
        }
    }
}

/// Appends `body` to `code`, with what it includes and what is `visible` there does not have yet.
fn put_together(body: &str, visible: &mut BTreeSet<&'static str>, code: &mut String) {
    let mut inside = None;
    for line in body.lines() {
        let Some(wanted) = includes_of(line) else {
            code.extend([line, "\n"]);
            continue;
        };
        // within a function, what is included is seen in the rest of it, hence of its file, only
        let visible = match line.starts_with(' ') {
            true => inside.get_or_insert_with(|| visible.clone()),
            false => &mut *visible,
        };
        for wanted in wanted {
            let known = INCLUDES.iter().find(|(name, _)| *name == wanted);
            if let Some((name, text)) = known
                && visible.insert(name)
            {
                put_together(text, visible, code);
            }
        }
    }
}

fn includes_of(line: &str) -> Option<impl Iterator<Item = &str>> {
    let names = line.trim_start().strip_prefix("-- @include ")?;
    Some(names.split_whitespace())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_include_exists_and_every_script_begins_with_the_prelude() {
        let bodies = Operation::ALL.iter().map(|operation| operation.body());
        let texts = bodies.chain(INCLUDES.iter().map(|(_, text)| *text));
        let lines = texts.flat_map(str::lines);
        for wanted in lines.filter_map(includes_of).flatten() {
            assert!(
                INCLUDES.iter().any(|(name, _)| *name == wanted),
                "{wanted} is included and not there"
            );
        }
        for operation in Operation::ALL {
            let Script { name, code, .. } = operation.script();
            assert_eq!(*name, operation.name());
            assert!(code.starts_with("local call = redis.call"), "{name}");
        }
    }

    /// Whether `code` calls `function`, and not one whose name ends like that.
    fn calls(code: &str, function: &str) -> bool {
        code.match_indices(&format!("{function}(")).any(|(at, _)| {
            let before = code[..at].chars().next_back();
            before.is_none_or(|letter| !letter.is_alphanumeric() && letter != '_')
        })
    }

    #[test]
    fn every_function_that_a_script_calls_is_in_it() {
        for operation in Operation::ALL {
            let Script { name, code, .. } = operation.script();
            for (function, _) in functions() {
                let defined = code.contains(&format!("local function {function}("));
                assert!(defined || !calls(code, function), "{name} calls {function}");
            }
        }
    }

    /// What `constants.lua` defines.
    const CONSTANTS: [&str; 4] = ["COUNT_MOST", "RESERVED", "FREE", "PRIORITY"];

    /// Those that define a function each.
    fn functions() -> impl Iterator<Item = &'static (&'static str, &'static str)> {
        let without = ["prelude", "constants"];
        let includes = INCLUDES.iter();
        includes.filter(move |(name, _)| !without.contains(name))
    }

    #[test]
    fn every_file_includes_what_it_uses_itself_and_nothing_else() {
        let operations = Operation::ALL.iter();
        let operations = operations.map(|operation| (operation.name(), operation.body(), true));
        let includes = INCLUDES.iter().map(|(name, text)| (*name, *text, false));
        for (file, text, is_operation) in operations.chain(includes) {
            let declared: BTreeSet<_> = text.lines().filter_map(includes_of).flatten().collect();
            let code: Vec<_> = text
                .lines()
                .filter_map(|line| line.split("--").next())
                .collect();
            let code = code.join("\n");
            let functions = INCLUDES.iter().map(|(name, _)| *name);
            let mut used: BTreeSet<_> = functions.filter(|name| calls(&code, name)).collect();
            if CONSTANTS.iter().any(|name| code.contains(name)) {
                used.insert("constants");
            }
            match is_operation {
                true => used.insert("prelude"),
                false => used.remove(file), // what it defines
            };
            assert_eq!(declared, used, "{file}.lua");
        }
    }

    #[test]
    fn every_include_is_one_function_of_its_name() {
        for (name, text) in functions() {
            let defined: Vec<_> = text
                .lines()
                .filter_map(|line| line.strip_prefix("local function "))
                .collect();
            assert_eq!(defined.len(), 1, "{name}");
            assert!(defined[0].starts_with(&format!("{name}(")), "{name}");
        }
    }
}
