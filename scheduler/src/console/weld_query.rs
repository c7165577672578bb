//! Which welds a page is about, as its address says.

use serde::{Deserialize, Serialize};
use weldfleet_settings::Console as ConsoleSettings;
use weldfleet_stores::{
    Day, Key,
    clickhouse::{Hours, NokFilter, NokWeld, Schema},
    mysql::WeldKey,
};
use weldfleet_words::Language;

use super::problem::Problem;
use crate::actions::reviews::RESULTS;

/// The query of an address, as typed: a filter, and a place in what it lets through. Empty: not asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct WeldQuery {
    pub day: String,
    pub shift: String,
    pub part: String,
    pub spot: String,
    pub timer: String,
    pub body: String,
    pub defect: String,
    pub review: String,
    /// `ck_local_time` as ClickHouse stores it, of the weld that is shown or behind which a list goes on.
    pub ticks: String,
    pub id: String,
    /// The weld's `data_date`, where it is not `day`: of a shift, by whose hours welds are listed.
    pub date: String,
    /// `ck_local_time` as ClickHouse prints it.
    pub time: String,
    /// Whether what attempts made of the weld is shown too.
    pub attempts: String,
    /// What somebody has typed already.
    pub note: String,
}

/// Of which reviews welds are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReviewFilter {
    Any,
    /// Nobody has said anything.
    Open,
    Done,
    Saying(&'static str),
}

impl ReviewFilter {
    /// All that can be asked for, by their names in an address.
    pub const NAMED: [(&'static str, Self); 6] = [
        ("", Self::Any),
        ("open", Self::Open),
        ("done", Self::Done),
        (RESULTS[0], Self::Saying(RESULTS[0])),
        (RESULTS[1], Self::Saying(RESULTS[1])),
        (RESULTS[2], Self::Saying(RESULTS[2])),
    ];

    fn named(text: &str) -> Option<Self> {
        let mut named = Self::NAMED.into_iter();
        named.find(|(name, _)| *name == text).map(|(_, it)| it)
    }
}

impl WeldQuery {
    /// All that the address of one weld says: the filter that it was found by, and which it is.
    pub const OF_A_WELD: &[&'static str] = &[
        "day", "shift", "part", "spot", "timer", "body", "defect", "review", "ticks", "id", "date",
        "time", "attempts", "note",
    ];

    /// Those of the filter, in the order in which they are shown.
    pub const FIELDS: &[&'static str] = Self::OF_A_WELD.split_at(8).0;

    /// The values of [`Self::OF_A_WELD`], in the same order.
    pub fn values(&self) -> [&str; 14] {
        [
            &self.day,
            &self.shift,
            &self.part,
            &self.spot,
            &self.timer,
            &self.body,
            &self.defect,
            &self.review,
            &self.ticks,
            &self.id,
            &self.date,
            &self.time,
            &self.attempts,
            &self.note,
        ]
    }

    /// All welds of a day.
    pub fn of_day(day: &str) -> Self {
        Self {
            day: day.to_owned(),
            ..Self::default()
        }
    }

    /// The same filter, at no place.
    pub fn filter_only(&self) -> Self {
        Self {
            ticks: String::new(),
            id: String::new(),
            date: String::new(),
            time: String::new(),
            attempts: String::new(),
            note: String::new(),
            ..self.clone()
        }
    }

    /// The same filter at this weld.
    pub fn at(&self, weld: &NokWeld) -> Self {
        Self {
            ticks: weld.ticks.to_string(),
            id: weld.record_id.clone(),
            date: Some(weld.day.to_string())
                .filter(|date| *date != self.day)
                .unwrap_or_default(),
            time: weld.time.clone(),
            ..self.filter_only()
        }
    }

    /// A page with this query.
    pub fn link(&self, path: &str, language: Language) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.append_pair("lang", &language.to_string());
        let said = Self::OF_A_WELD.iter().zip(self.values());
        query.extend_pairs(said.filter(|(_, value)| !value.is_empty()));
        format!("{path}?{}", query.finish())
    }

    /// That the list is of.
    pub fn day(&self) -> Result<Day, Problem> {
        day(&self.day)
    }

    /// That the weld is of.
    pub fn date(&self) -> Result<Day, Problem> {
        match self.date.as_str() {
            "" => self.day(),
            date => day(date),
        }
    }

    /// What ClickHouse is asked for.
    pub fn filter(&self, console: &ConsoleSettings) -> Result<NokFilter, Problem> {
        let hours = match self.shift.as_str() {
            "" => None,
            name => {
                let (from, to) = console
                    .shift(name)
                    .ok_or_else(|| unknown_shift(name, console))?;
                Some(Hours { from, to })
            }
        };
        Ok(NokFilter {
            day: self.day()?,
            hours,
            part_no: self.part.clone(),
            spot_name: self.spot.clone(),
            timer_name: self.timer.clone(),
            body_no: self.body.clone(),
            defect: self.defect.clone(),
        })
    }

    pub fn review_filter(&self) -> Result<ReviewFilter, Problem> {
        ReviewFilter::named(&self.review).ok_or_else(|| {
            let names = ReviewFilter::NAMED.map(|(name, _)| name);
            Problem::UnknownReview {
                typed: self.review.clone(),
                known: names[1..].join(", "),
            }
        })
    }

    /// The weld in an address of ours.
    pub fn weld(&self) -> Result<WeldKey, Problem> {
        let ticks = self.ticks.parse();
        Ok(WeldKey {
            day: self.date()?,
            ticks: ticks.map_err(|_| Problem::NoTicks(self.ticks.clone()))?,
            time: self.time.clone(),
            record_id: self.id.clone(),
        })
    }

    /// The place; `None` where none is given or the column holds no such id.
    pub fn key(&self, schema: &Schema) -> Option<Key> {
        schema.key_of(self.ticks.parse().ok()?, &self.id)
    }
}

fn day(typed: &str) -> Result<Day, Problem> {
    typed.parse::<Day>().map_err(|error| Problem::NoDay {
        typed: typed.to_owned(),
        why: error.to_string(),
    })
}

fn unknown_shift(name: &str, console: &ConsoleSettings) -> Problem {
    Problem::UnknownShift {
        name: name.to_owned(),
        known: console.shifts.keys().cloned().collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_says_again_what_was_asked_for() {
        let query = WeldQuery {
            day: "20261129".to_owned(),
            body: "a&b=c 车身".to_owned(),
            review: "false alarm".to_owned(),
            ticks: "-12".to_owned(),
            id: "7/7".to_owned(),
            ..WeldQuery::default()
        };
        let link = query.link("/ui/nok", Language::Chinese);
        let typed = link.strip_prefix("/ui/nok?lang=zh&").unwrap();
        let read: std::collections::HashMap<_, _> =
            form_urlencoded::parse(typed.as_bytes()).collect();
        assert_eq!(read.len(), 5, "{link}");
        assert_eq!(read["body"], query.body);
        assert_eq!(
            query.review_filter(),
            Ok(ReviewFilter::Saying("false alarm"))
        );
        assert!(
            query
                .filter_only()
                .link("/ui/nok", Language::English)
                .ends_with("review=false+alarm")
        );
    }

    #[test]
    fn what_cannot_be_asked_for_is_named_with_what_can() {
        let mut console = ConsoleSettings::default();
        let asking = |shift: &str, review: &str| WeldQuery {
            day: "20261129".to_owned(),
            shift: shift.to_owned(),
            review: review.to_owned(),
            ..WeldQuery::default()
        };
        let none = asking("early", "").filter(&console).unwrap_err();
        let none = none.words().en;
        assert!(none.contains("console.shifts names none"), "{none}");
        let early = (String::from("early"), jiff::civil::time(6, 0, 0, 0));
        console.shifts.extend([early]);
        let other = asking("noon", "").filter(&console).unwrap_err();
        let other = other.words().en;
        assert!(other.contains("noon") && other.contains("early"), "{other}");
        assert!(asking("early", "").filter(&console).is_ok());
        let review = asking("", "perhaps").review_filter().unwrap_err();
        let review = review.words().en;
        assert!(
            review.contains("perhaps") && review.contains("unsure"),
            "{review}"
        );
    }
}
