//! What the processes of one fleet must agree on, as a short digest of each section of the configuration: which rows
//! there are, what their columns mean, and what makes a verdict.

use std::{collections::BTreeMap, fmt};

use sha2::{Digest, Sha256};
use weldfleet_settings::Settings;

/// Sections that say which rows are the fleet's and how they are read. Scheduler and workers must agree on them.
pub const ROWS: [&str; 2] = ["columns", "tables"];

/// The section of which scheduler and workers must have the same `ttl`.
pub const LEASE: &str = "lease";

/// Digests by section of the configuration. They can be compared between processes of one version only.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SettingsDigest(BTreeMap<String, String>);

impl SettingsDigest {
    /// The field of a worker's entry that holds it.
    pub const FIELD: &str = "settings";

    /// Of the settings alone.
    pub fn of(settings: &Settings) -> Self {
        let tables = &settings.tables;
        let database = &settings.clickhouse.database;
        Self::default()
            .with("columns", &settings.columns)
            .with("tables", &(database, &tables.source_table, &tables.filter))
            .with("curves", &settings.curves)
            .with("validation", &settings.validation)
            .with("fusion", &settings.fusion)
            .with(LEASE, &settings.lease.ttl)
    }

    /// With a section whose content is more than its keys: a file, a model.
    #[must_use]
    pub fn with(mut self, section: &str, content: &dyn fmt::Debug) -> Self {
        let digest = Sha256::digest(format!("{content:?}"));
        let short = digest.iter().take(6).map(|byte| format!("{byte:02x}"));
        self.0.insert(section.to_owned(), short.collect());
        self
    }

    /// What [`Display`](fmt::Display) writes. What is not of that form is left out: it is for people only.
    pub fn parse(text: &str) -> Self {
        let pairs = text.split(' ').filter_map(|pair| pair.split_once('='));
        Self(
            pairs
                .map(|(section, digest)| (section.to_owned(), digest.to_owned()))
                .collect(),
        )
    }

    /// Sections that both have and in which they differ.
    pub fn differing<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter_map(|(section, digest)| {
            let theirs = other.0.get(section)?;
            (digest != theirs).then_some(section.as_str())
        })
    }
}

impl fmt::Display for SettingsDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, (section, digest)) in self.0.iter().enumerate() {
            let space = if place == 0 { "" } else { " " };
            write!(f, "{space}{section}={digest}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_differs_with_what_it_says_and_survives_being_told() {
        let ours = Settings::default();
        let mut theirs = ours.clone();
        theirs.tables.filter = "prog_no NOT IN ('41', '51')".to_owned();
        // What says nothing of rows and verdicts may differ from host to host.
        theirs.tables.settle_after *= 2;
        theirs.worker.ranges_in_flight += 1;
        theirs.lease.job_timeout *= 2;
        let ours = SettingsDigest::of(&ours).with("rules", &["a"]);
        let theirs = SettingsDigest::of(&theirs).with("rules", &["b"]);
        let told = SettingsDigest::parse(&theirs.to_string());
        assert_eq!(told, theirs);
        assert_eq!(
            ours.differing(&told).collect::<Vec<_>>(),
            ["rules", "tables"]
        );
        assert_eq!(SettingsDigest::parse("").differing(&ours).count(), 0);
        let mut shorter = Settings::default();
        shorter.lease.ttl /= 2;
        let shorter = SettingsDigest::of(&shorter);
        assert_eq!(ours.differing(&shorter).collect::<Vec<_>>(), [LEASE]);
    }
}
