//! The pages in a browser, and the plant's shifts.

use std::{collections::BTreeMap, net::IpAddr, path::PathBuf};

use jiff::{
    ToSpan as _,
    civil::{Date, DateTime, Time},
};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Console {
    /// Who may sign in, as `scheduler users` keeps it; empty: whoever is on this host may look and change nothing.
    pub users_file: PathBuf,
    /// Addresses of proxies whose word holds: from where, under which address and by which user they are asked.
    pub trusted_proxies: Vec<IpAddr>,
    /// The header in which they name the user; empty: they only forward.
    pub user_header: String,
    /// Shifts by name: when each begins, by the plant's clock. One lasts until the next begins.
    pub shifts: BTreeMap<String, Time>,
}

impl Console {
    pub fn has_users(&self) -> bool {
        !self.users_file.as_os_str().is_empty()
    }

    /// The shift that goes on, and when it began; without shifts the day.
    pub fn shift_at(&self, now: DateTime) -> (&str, DateTime) {
        let days = [now.date(), now.date().saturating_sub(1.day())];
        let begun = days.into_iter().flat_map(|day| {
            let shifts = self.shifts.iter();
            shifts.map(move |(name, begins)| (name.as_str(), day.to_datetime(*begins)))
        });
        begun
            .filter(|(_, begins)| *begins <= now)
            .max_by_key(|(_, begins)| *begins)
            .unwrap_or(("", now.date().to_datetime(Time::midnight())))
    }

    /// The day on which the shift of this name began last; today where there is none such.
    pub fn last_began(&self, name: &str, now: DateTime) -> Date {
        match self.shifts.get(name) {
            Some(begins) if now.time() < *begins => now.date().saturating_sub(1.day()),
            _ => now.date(),
        }
    }

    /// From when to when a shift is; `None` if there is none of this name.
    pub fn shift(&self, name: &str) -> Option<(Time, Time)> {
        let from = *self.shifts.get(name)?;
        let later = self.shifts.values().filter(|other| **other > from).min();
        let to = later.or(self.shifts.values().min()).copied()?;
        Some((from, to))
    }
}

impl Default for Console {
    fn default() -> Self {
        Self {
            users_file: PathBuf::new(),
            trusted_proxies: Vec::new(),
            user_header: "X-Forwarded-User".to_owned(),
            shifts: BTreeMap::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shift_lasts_until_the_next_begins() {
        let text = "shifts = { early = \"06:00\", late = \"14:00\", night = \"22:00\" }";
        let console: Console = toml::from_str(text).unwrap();
        let hours = |name| {
            console
                .shift(name)
                .map(|(from, to)| (from.hour(), to.hour()))
        };
        assert_eq!(hours("early"), Some((6, 14)));
        assert_eq!(hours("night"), Some((22, 6)));
        assert_eq!(hours("noon"), None);
        let at = |day, hour| jiff::civil::date(2026, 11, day).at(hour, 0, 0, 0);
        assert_eq!(console.shift_at(at(29, 15)), ("late", at(29, 14)));
        assert_eq!(console.shift_at(at(29, 3)), ("night", at(28, 22)));
        let began = |name, now| console.last_began(name, now).day();
        assert_eq!(
            [began("night", at(29, 3)), began("night", at(29, 22))],
            [28, 29]
        );
        assert_eq!([began("late", at(29, 3)), began("", at(29, 3))], [28, 29]);
        assert_eq!(Console::default().shift_at(at(29, 3)), ("", at(29, 0)));
        assert!(toml::from_str::<Console>("shifts = { early = \"25:00\" }").is_err());
    }
}
