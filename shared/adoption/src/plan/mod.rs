//! What the new configuration says, and why.

mod columns;
mod curves;
mod filter;
mod judging;
mod mysql;
mod servers;
mod targets;
mod told;
mod verdicts;

use std::borrow::Borrow;

pub use columns::name_in;
use toml::Value;
use weldfleet_settings::{Secret, Settings};
use weldfleet_words::{Words, words};

use crate::{AdoptError, Facts, OldConfig, facts::SourceTable, old};
use told::Told;

/// Names as each language lists them.
pub(crate) fn listed<S: Borrow<str>>(names: &[S]) -> Words {
    Words::new(names.join(", "), names.join("、"))
}

/// Where a setting comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// The old configuration says it.
    Mapped,
    /// From names, types and values; a person should look at it.
    Guessed,
    /// A person must say it; the line is written as a comment.
    Question,
}

/// One line of the new file.
#[derive(Debug, Clone, PartialEq)]
pub struct Item {
    /// `columns.scalars` of `[columns.scalars]`.
    pub section: &'static str,
    pub key: String,
    pub value: Value,
    pub origin: Origin,
    pub why: Words,
}

/// A secret and the key of the file that it goes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretFile {
    /// `clickhouse` or `mysql`, whose `password_file` it is.
    pub section: &'static str,
    /// Name of the file.
    pub name: &'static str,
    pub secret: Secret,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub struct Adoption {
    pub items: Vec<Item>,
    pub secrets: Vec<SecretFile>,
    /// Content of the rules file that the settings name.
    pub rules: Option<String>,
    /// Old keys that nobody here knows.
    pub unknown: Vec<String>,
    /// What belongs to something else than this file, and what a person should know.
    pub notes: Vec<Words>,
    /// What could not be asked.
    pub unasked: Vec<Words>,
}

impl Adoption {
    /// Settings for what the old configuration says and the servers told; `secrets` is the folder of the secret files,
    /// `rules` the path of the rules file.
    ///
    /// # Errors
    /// [`AdoptError`] where the old configuration contradicts itself or names no server.
    pub fn make(
        old: &OldConfig,
        facts: &Facts,
        secrets: &str,
        rules: &str,
    ) -> Result<Self, AdoptError> {
        let mut adoption = Self {
            unasked: unasked(facts, old),
            ..Self::default()
        };
        servers::plan(&mut adoption, old, facts, secrets)?;
        let told = Told::of(old)?;
        let seen = facts.source.as_ref().ok();
        let table = seen.map(SourceTable::before_the_fleet);
        let map = columns::plan(&mut adoption, facts, table.as_ref(), &told);
        let verdicts = verdicts::plan(&mut adoption, table.as_ref(), &told, &map);
        filter::plan(&mut adoption, old, table.as_ref(), &map, &verdicts);
        curves::plan(&mut adoption, old, facts, &map);
        mysql::plan(&mut adoption, old, facts, &map);
        judging::plan(&mut adoption, old, rules);
        adoption.ask_about_references();
        adoption.ask_about_refused();
        adoption
            .unknown
            .extend(old.unknown().into_iter().map(str::to_owned));
        for (path, first, others) in old.further() {
            adoption.notes.push(words!(
                "`{path}` names several; {first} was taken, not {others}",
                "`{path}` 有多个值；采用了 {first}，未用 {others_zh}",
                others_zh = others.replace(", ", "、"),
            ));
        }
        for (unused, used) in old.repeated() {
            adoption.notes.push(words!(
                "`{unused}` says what `{used}` says, with another value; `{used}` was taken",
                "`{unused}` 与 `{used}` 含义相同但取值不同；采用了 `{used}`",
            ));
        }
        Ok(adoption)
    }

    /// Nobody here fills a reference: as it is, it would be a folder or an account of that name.
    fn ask_about_references(&mut self) {
        for item in &mut self.items {
            let is_one = item.value.as_str().is_some_and(old::is_reference);
            // A question about it stands there already.
            if !is_one || item.origin == Origin::Question || item.key == "filter" {
                continue;
            }
            item.origin = Origin::Question;
            item.why = item.why.clone().and(&words!(
                "a reference (`${{…}}`, `~`) that only the old service's environment fills; what is its value?",
                "这是引用（`${{…}}`、`~`），只有旧服务的环境才能展开；实际的值是什么？",
            ));
        }
    }

    /// What the settings refuse is a question, with their words; a key that this build does not know cannot be tried.
    fn ask_about_refused(&mut self) {
        for item in &mut self.items {
            // Alone a column's name may be that of another of ours, which is mapped elsewhere too, or of a carried
            // column.
            let by_itself =
                !["columns", "mysql.columns", "mysql.constants"].contains(&item.section);
            if !by_itself || item.origin == Origin::Question {
                continue;
            }
            if !Settings::knows(item.section, Some((&item.key, &item.value))) {
                continue;
            }
            if let Err(problem) = Settings::accepts(item.section, &item.key, &item.value) {
                item.origin = Origin::Question;
                item.why = item.why.clone().and(&words!("{problem}", "{problem}"));
            }
        }
    }

    fn mapped(&mut self, section: &'static str, key: &str, value: impl Into<Value>, path: &str) {
        let why = words!("from `{path}`", "来自 `{path}`");
        self.add(Origin::Mapped, section, key, value, why);
    }

    fn guessed(&mut self, section: &'static str, key: &str, value: impl Into<Value>, why: Words) {
        self.add(Origin::Guessed, section, key, value, why);
    }

    fn question(&mut self, section: &'static str, key: &str, value: impl Into<Value>, why: Words) {
        self.add(Origin::Question, section, key, value, why);
    }

    fn add(
        &mut self,
        origin: Origin,
        section: &'static str,
        key: &str,
        value: impl Into<Value>,
        why: Words,
    ) {
        self.items.push(Item {
            section,
            key: key.to_owned(),
            value: value.into(),
            origin,
            why,
        });
    }

    /// How many settings come from where.
    pub fn count(&self, origin: Origin) -> usize {
        self.items
            .iter()
            .filter(|item| item.origin == origin)
            .count()
    }
}

/// What could not be asked, for people.
fn unasked(facts: &Facts, old: &OldConfig) -> Vec<Words> {
    let mut told = Vec::new();
    if old.source_table().is_none() {
        let words = words!(
            "the old configuration names no table of welds, so that its columns were not asked for: add `clickhouse.table: NAME` to it \
             and run `scheduler adopt --force` again",
            "旧配置没有焊点表名，因此没有查询列：请在旧配置中加上 `clickhouse.table: 表名`，再运行 `scheduler adopt --force`",
        );
        told.push(match old.may_be_table().join("`, `") {
            keys if keys.is_empty() => words,
            keys => words.and(&words!(
                "unknown keys that may name it: `{keys}`",
                "可能是表名的未识别键：`{keys}`",
            )),
        });
    }
    // Without a reason nobody tried.
    if let Err(reason) = &facts.source
        && !reason.is_empty()
    {
        told.push(words!(
            "ClickHouse could not be asked for its columns: {reason}; run `scheduler adopt --force` again once it answers",
            "无法向 ClickHouse 查询列：{reason}；恢复后请再运行 `scheduler adopt --force`",
        ));
    }
    if let Err(reason) = &facts.mysql
        && old.wants_mysql()
    {
        told.push(words!(
            "MySQL could not be asked for its columns: {reason}; run `scheduler adopt --force` again once it answers",
            "无法向 MySQL 查询列：{reason}；恢复后请再运行 `scheduler adopt --force`",
        ));
    }
    told
}

/// A scalar as plants write it; nothing where it is none.
fn number(text: Option<&str>) -> Option<f64> {
    let value: f64 = text?.trim().parse().ok()?;
    value.is_finite().then_some(value)
}

/// A text cut short, for a comment.
fn short(text: &str) -> String {
    let cut: String = text.chars().take(60).collect();
    if cut.len() < text.len() {
        format!("{cut}…")
    } else {
        cut
    }
}
