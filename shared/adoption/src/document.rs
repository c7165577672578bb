//! The plan as TOML with comments. It is written once, from top to bottom, so it is text; values are quoted by the TOML
//! library.

use std::fmt::Write as _;

use toml::Value;
use weldfleet_words::{Language, Words, words};

use crate::{
    Adoption,
    plan::{Item, Origin, listed},
};

/// Sections in the order of the file, each with what it is about.
const SECTIONS: &[(&str, &str, &str)] = &[
    ("clickhouse", "where the welds are", "焊点数据所在"),
    ("redis", "where the work is", "作业队列所在"),
    (
        "mysql",
        "where the people look who act on NOK welds",
        "NOK 焊点写到这里，供质量人员处理",
    ),
    (
        "mysql.columns",
        "ours = \"theirs\" in that table",
        "该表中：weldfleet 的列名 = \"工厂表中的列名\"",
    ),
    (
        "mysql.constants",
        "theirs = value: what that table demands besides",
        "工厂表中的列名 = 值：该表另外要求的列",
    ),
    ("tables", "", ""),
    (
        "columns",
        "ours = \"theirs\"; a column that is not listed has our name",
        "weldfleet 的列名 = \"工厂表中的列名\"；未列出的列名相同",
    ),
    (
        "columns.scalars",
        "further numbers of a weld",
        "焊点的其他数值",
    ),
    (
        "columns.carried",
        "by which people find a weld",
        "供人员查找焊点的列",
    ),
    ("curves", "how the plant stores them", "曲线的存储方式"),
    ("validation", "", ""),
    ("scheduler", "", ""),
    ("worker", "", ""),
    ("model", "", ""),
    ("rules", "", ""),
    ("fusion", "", ""),
];

/// Widest line of a comment, in columns of a terminal.
const WIDTH: usize = 112;

/// Which keys a build knows: asked with `section` and, for a key of it, name and value.
pub type IsKnownKey<'a> = &'a dyn Fn(&str, Option<(&str, &Value)>) -> bool;

/// The file. A key that `knows` denies is written as a comment.
pub fn render(
    adoption: &Adoption,
    source: &str,
    languages: &[Language],
    knows: IsKnownKey<'_>,
) -> String {
    let mut writer = Writer {
        text: String::new(),
        adoption,
        languages,
        knows,
    };
    writer.head(source);
    for (section, en, zh) in SECTIONS {
        let items = adoption.items.iter();
        let mut items = items.filter(|item| item.section == *section).peekable();
        if items.peek().is_none() {
            continue;
        }
        let mark = if knows(section, None) { "" } else { "# " };
        writer.text.push('\n');
        if !en.is_empty() {
            writer.comment(&Words::new(*en, *zh));
        }
        let _ = writeln!(writer.text, "{mark}[{section}]");
        for item in items {
            writer.item(item);
        }
    }
    writer.text
}

struct Writer<'a> {
    text: String,
    adoption: &'a Adoption,
    languages: &'a [Language],
    knows: IsKnownKey<'a>,
}

impl Writer<'_> {
    fn head(&mut self, source: &str) {
        self.comment(&words!(
            "Made by `scheduler adopt` from {source}. Keys that are missing have their defaults (config/weldfleet.toml)",
            "由 `scheduler adopt` 根据 {source} 生成。未列出的键取默认值（见 config/weldfleet.toml）",
        ));
        self.comment(&words!(
            "\"mapped\" the old configuration says it; \"guessed\" please look; \"?\" a person must say it: remove the # before the key",
            "“沿用”旧配置已写明；“推测”请核对；“？”须由人决定：去掉键前的 #",
        ));
        let adoption = self.adoption;
        for words in adoption.unasked.iter().chain(&adoption.notes) {
            self.comment(&titled(&words!("note", "说明"), words));
        }
        if !adoption.unknown.is_empty() {
            let Words { en, zh } = listed(&adoption.unknown);
            self.comment(&words!(
                "old keys that nobody here knows, so that nothing was done with them: {en}",
                "未识别、因而未处理的旧键：{zh}",
            ));
        }
    }

    fn item(&mut self, item: &Item) {
        let known = is_known(self.adoption, item, self.knows);
        let mut why = match item.origin {
            Origin::Mapped => titled(&words!("mapped", "沿用"), &item.why),
            Origin::Guessed => titled(&words!("guessed", "推测"), &item.why),
            Origin::Question => {
                let (en, zh) = (&item.why.en, &item.why.zh);
                words!("? {en}", "？{zh}")
            }
        };
        if !known {
            why = why.and(&words!(
                "needs a later build: this one does not know the key, or the scale that it needs",
                "需要更高版本的 weldfleet：本版本没有此键，或没有它所需的比例键",
            ));
        }
        if replaces(self.adoption, item) {
            let key = &item.key;
            why = why.and(&words!(
                "to say so, put this line in the place of the `{key}` above",
                "如果是，请用下面这行替换上面的 `{key}`",
            ));
        }
        self.comment(&why);
        let mark = if known && item.origin != Origin::Question {
            ""
        } else {
            "# "
        };
        let _ = writeln!(self.text, "{mark}{} = {}", key(&item.key), item.value);
    }

    /// The sentence in each of the wanted languages, wrapped.
    fn comment(&mut self, words: &Words) {
        for line in words.lines(self.languages).flat_map(wrapped) {
            let _ = writeln!(self.text, "# {line}");
        }
    }
}

fn titled(title: &Words, words: &Words) -> Words {
    Words {
        en: format!("{}: {}", title.en, words.en),
        zh: format!("{}：{}", title.zh, words.zh),
    }
}

/// A unit is as good as its scale: alone it would make tens of ampere amperes.
fn is_known(adoption: &Adoption, item: &Item, knows: IsKnownKey<'_>) -> bool {
    let scale = item
        .key
        .strip_suffix("_unit")
        .map(|quantity| format!("{quantity}_scale"));
    let scale = adoption
        .items
        .iter()
        .find(|other| other.section == item.section && Some(&other.key) == scale.as_ref());
    [Some(item), scale]
        .into_iter()
        .flatten()
        .all(|item| knows(item.section, Some((&item.key, &item.value))))
}

/// A question about a key that has its line already, answered or not: with two of them the file would not load.
fn replaces(adoption: &Adoption, item: &Item) -> bool {
    let before = adoption
        .items
        .iter()
        .take_while(|other| !std::ptr::eq(*other, item));
    let same = |other: &Item| other.section == item.section && other.key == item.key;
    item.origin == Origin::Question && before.into_iter().any(same)
}

/// A key as TOML has it.
fn key(name: &str) -> String {
    let bare = !name.is_empty()
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    if bare {
        name.to_owned()
    } else {
        Value::from(name).to_string()
    }
}

/// Breaks at blanks, and within Chinese anywhere but before its punctuation. Control characters would end the comment.
fn wrapped(line: &str) -> Vec<String> {
    let mut lines = vec![String::new()];
    let mut width = 0;
    for word in pieces(line) {
        let wide: usize = word.chars().map(columns).sum();
        if width + wide > WIDTH && width > 0 {
            lines.push(String::new());
            width = 0;
        }
        let word = if width == 0 { word.trim_start() } else { &word };
        if let Some(last) = lines.last_mut() {
            last.push_str(word);
        }
        width += wide;
    }
    lines
        .iter()
        .map(|line| line.trim_end().to_owned())
        .collect()
}

fn pieces(line: &str) -> Vec<String> {
    let mut pieces: Vec<String> = Vec::new();
    let mut before = ' ';
    for c in line.chars() {
        let c = if c.is_control() { ' ' } else { c };
        let new = c == ' '
            || (is_wide(before)
                && is_wide(c)
                && !"，。；：？！、）”".contains(c)
                && !"（“".contains(before));
        match pieces.last_mut() {
            Some(piece) if !new => piece.push(c),
            _ => pieces.push(c.to_string()),
        }
        before = c;
    }
    pieces
}

fn is_wide(c: char) -> bool {
    u32::from(c) >= 0x2e80
}

fn columns(c: char) -> usize {
    if is_wide(c) { 2 } else { 1 }
}

/// What is told on the screen: counts, then everything that wants a person.
pub fn summary(adoption: &Adoption, languages: &[Language], knows: IsKnownKey<'_>) -> String {
    let mut text = String::new();
    let mut say = |words: &Words| {
        for line in words.lines(languages) {
            let _ = writeln!(text, "{line}");
        }
    };
    let mapped = adoption.count(Origin::Mapped);
    let guessed = adoption.count(Origin::Guessed);
    let asked = adoption.count(Origin::Question);
    say(&words!(
        "{mapped} settings mapped, {guessed} guessed, {asked} for a person to say",
        "沿用 {mapped} 项，推测 {guessed} 项，须由人决定 {asked} 项",
    ));
    for words in &adoption.unasked {
        say(words);
    }
    for item in &adoption.items {
        let name = format!("{}.{}", item.section, item.key);
        let (en, zh) = (&item.why.en, &item.why.zh);
        match item.origin {
            Origin::Question => say(&words!("? {name}: {en}", "？{name}：{zh}")),
            _ if !is_known(adoption, item, knows) => say(&words!(
                "later: {name}: this build does not know the key; it is written as a comment",
                "需要更高版本的 weldfleet：{name}：本版本没有此键，已写成注释",
            )),
            _ => {}
        }
    }
    for words in &adoption.notes {
        say(words);
    }
    if !adoption.unknown.is_empty() {
        let Words { en, zh } = listed(&adoption.unknown);
        say(&words!("unknown old keys: {en}", "未识别的旧键：{zh}"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_are_wrapped_and_never_end_early() {
        let long = "an `a\nb` ".repeat(40);
        for line in wrapped(&long) {
            assert!(
                line.chars().count() <= WIDTH && !line.contains('\n'),
                "{line}"
            );
        }
        let lines = wrapped(&"焊".repeat(100));
        assert_eq!(lines.len(), 2, "{lines:?}");
    }
}
