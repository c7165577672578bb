//! What a rule reports, and which reports make a weld NOK.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::rounding::rounded;

/// A rule, in the order in which rules report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// Sudden, persistent drop of R.
    Expulsion,
    /// The current fails inside a pulse.
    Interruption,
    /// A peak of R where a good weld has none.
    ResistancePeak,
    /// The main pulse is too short.
    ShortPulse,
    /// The main pulse brought too little energy.
    LowEnergy,
    /// R is too high at the end of the main pulse.
    ResistanceEndHigh,
}

impl Rule {
    pub const ALL: [Self; 6] = [
        Self::Expulsion,
        Self::Interruption,
        Self::ResistancePeak,
        Self::ShortPulse,
        Self::LowEnergy,
        Self::ResistanceEndHigh,
    ];

    pub(super) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|rule| rule.as_str() == name)
    }

    /// The name in `rules.toml` and in `rule_hits`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Expulsion => "expulsion",
            Self::Interruption => "interruption",
            Self::ResistancePeak => "resistance_peak",
            Self::ShortPulse => "short_pulse",
            Self::LowEnergy => "low_energy",
            Self::ResistanceEndHigh => "resistance_end_high",
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How grave a hit is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    Warn,
    /// A defect by this rule.
    Flag,
}

/// One report of one rule. Numbers are rounded to six decimals after the decision.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Hit {
    pub rule: Rule,
    pub level: Level,
    /// When, ms since the curve's first sample.
    pub t_ms: f64,
    /// Measured: relative drop, ms, mΩ or J, as the rule's limit.
    pub value: f64,
    pub limit: f64,
}

impl Hit {
    pub(super) fn new(rule: Rule, level: Level, t_ms: f64, value: f64, limit: f64) -> Self {
        Self {
            rule,
            level,
            t_ms: rounded(t_ms),
            value: rounded(value),
            limit,
        }
    }
}

/// The JSON list that stores hold.
#[must_use]
pub fn hits_json(hits: &[Hit]) -> String {
    if hits.is_empty() {
        return "[]".to_owned();
    }
    // Plain structs of numbers and names: serialising them cannot fail.
    serde_json::to_string(hits).unwrap_or_default()
}

/// The rules that make a weld NOK.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct NokRules(u8);

impl NokRules {
    /// Every set of rules, each at its [`place`](Self::place).
    pub(crate) fn every() -> impl Iterator<Item = Self> {
        (0..1 << Rule::ALL.len()).map(Self)
    }

    pub(crate) fn place(self) -> usize {
        usize::from(self.0)
    }

    pub fn insert(&mut self, rule: Rule) {
        self.0 |= 1 << rule as u8;
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub(crate) fn contains(self, rule: Rule) -> bool {
        self.0 & (1 << rule as u8) != 0
    }
}

/// Why a rule could not judge a weld: the row becomes `error`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("rule {rule}: {problem}")]
pub struct RuleError {
    pub rule: Rule,
    pub problem: String,
}

/// An entry of `nok_on`: `"rule"` (any level) or `"rule:flag"` / `"rule:warn"` (that level or graver).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NokOn {
    pub rule: Rule,
    /// The least grave level that counts.
    pub level: Level,
}

impl NokOn {
    /// Whether `hit` makes the rules say NOK.
    #[must_use]
    pub fn covers(&self, hit: &Hit) -> bool {
        hit.rule == self.rule && hit.level >= self.level
    }
}

/// As in `nok_on`.
impl fmt::Display for NokOn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.level {
            Level::Warn => self.rule.fmt(f),
            Level::Flag => write!(f, "{}:flag", self.rule),
        }
    }
}

impl Serialize for NokOn {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for NokOn {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let (name, level) = text.split_once(':').unwrap_or((&text, "warn"));
        let rule = Rule::named(name);
        let level = match level {
            "flag" => Some(Level::Flag),
            "warn" => Some(Level::Warn),
            _ => None,
        };
        match (rule, level) {
            (Some(rule), Some(level)) => Ok(Self { rule, level }),
            _ => Err(de::Error::custom(format!(
                "`{text}` is neither a rule nor rule:flag nor rule:warn; rules are {}",
                Rule::ALL.map(Rule::as_str).join(", ")
            ))),
        }
    }
}
