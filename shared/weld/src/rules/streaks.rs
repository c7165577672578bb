//! Hits of one rule at one spot, weld after weld: what a single weld's verdict does not know.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Rule;

/// `[scheduler] hit_streaks`: rules, and how many welds of a [`Spot`] in a row must have a hit of theirs to be told.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "BTreeMap<String, u32>", into = "BTreeMap<String, u32>")]
pub struct HitStreaks(Vec<(Rule, u32)>);

const FEWEST: u32 = 2;
const MOST: u32 = 1000;

/// What is wrong with `hit_streaks`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HitStreaksError {
    #[error("unknown rule `{name}`, expected one of: {}", Rule::ALL.map(Rule::as_str).join(", "))]
    Unknown {
        /// As it is written.
        name: String,
    },
    #[error("`{name}` is {welds}, give {FEWEST} to {MOST} welds in a row")]
    Welds { name: String, welds: u32 },
}

impl HitStreaks {
    /// Each rule with its least length.
    pub fn rules(&self) -> impl Iterator<Item = (Rule, u32)> + '_ {
        self.0.iter().copied()
    }
}

impl TryFrom<BTreeMap<String, u32>> for HitStreaks {
    type Error = HitStreaksError;

    fn try_from(lengths: BTreeMap<String, u32>) -> Result<Self, HitStreaksError> {
        let of_rule = |(name, welds): (String, u32)| {
            if !(FEWEST..=MOST).contains(&welds) {
                return Err(HitStreaksError::Welds { name, welds });
            }
            let rule = Rule::named(&name);
            Ok((rule.ok_or(HitStreaksError::Unknown { name })?, welds))
        };
        lengths
            .into_iter()
            .map(of_rule)
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

impl From<HitStreaks> for BTreeMap<String, u32> {
    fn from(streaks: HitStreaks) -> Self {
        streaks
            .rules()
            .map(|(rule, welds)| (rule.as_str().to_owned(), welds))
            .collect()
    }
}

/// A spot of a part as one timer's gun welds it: spots of two parts may have one name, two guns may weld one spot.
/// Empty where the plant does not say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spot {
    pub timer_name: String,
    pub part_no: String,
    pub spot_name: String,
}

/// A weld with a hit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpotHit {
    pub spot: Spot,
    /// The weld's place among all of its spot, hit or not.
    pub place: u64,
    /// Its `data_date`, YYYYMMDD.
    pub day: u32,
    /// When it was welded, as people read it; later is larger.
    pub time: String,
    pub record_id: String,
}

/// Welds of a spot in a row, each with a hit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Streak<'h> {
    pub first: &'h SpotHit,
    pub last: &'h SpotHit,
    pub welds: u64,
}

/// The streaks of at least `least` welds. `hits` are ordered by spot, then by place.
#[must_use]
pub fn streaks(hits: &[SpotHit], least: u32) -> Vec<Streak<'_>> {
    hits.chunk_by(|one, next| one.spot == next.spot && one.place + 1 == next.place)
        .filter(|row| row.len() >= least as usize)
        .filter_map(|row| {
            Some(Streak {
                first: row.first()?,
                last: row.last()?,
                welds: row.len() as u64,
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn hit(spot: &str, place: u64) -> SpotHit {
        SpotHit {
            spot: Spot {
                timer_name: "T1".to_owned(),
                part_no: "P".to_owned(),
                spot_name: spot.to_owned(),
            },
            place,
            day: 20_261_128,
            time: format!("2026-11-28 08:{place:02}:00"),
            record_id: format!("{spot}{place}"),
        }
    }

    #[test]
    fn welds_in_a_row_are_of_one_spot_with_none_between() {
        let hits = [
            hit("A", 1),
            hit("A", 2),
            hit("A", 4),
            hit("A", 5),
            hit("A", 6),
            hit("A", 7),
            hit("B", 8),
            hit("B", 9),
        ];
        let found = |least| -> Vec<(&str, &str, u64)> {
            streaks(&hits, least)
                .iter()
                .map(|streak| {
                    let (first, last) = (streak.first, streak.last);
                    (
                        first.record_id.as_str(),
                        last.record_id.as_str(),
                        streak.welds,
                    )
                })
                .collect()
        };
        assert_eq!(found(3), [("A4", "A7", 4)]);
        assert_eq!(
            found(2),
            [("A1", "A2", 2), ("A4", "A7", 4), ("B8", "B9", 2)]
        );
        assert_eq!(found(5), []);
        assert_eq!(streaks(&[], 2), []);
    }

    #[test]
    fn another_gun_or_another_part_is_another_spot() {
        let mut hits = [hit("A", 1), hit("A", 2)];
        assert_eq!(streaks(&hits, 2).len(), 1);
        hits[1].spot.timer_name = "T2".to_owned();
        assert_eq!(streaks(&hits, 2), []);
        hits[1] = hit("A", 2);
        hits[1].spot.part_no = "Q".to_owned();
        assert_eq!(streaks(&hits, 2), []);
    }

    #[test]
    fn settings_name_the_rule_and_the_number() {
        let parse = |text: &str| {
            toml::from_str::<HitStreaks>(text).map_err(|error| error.message().to_owned())
        };
        let streaks = parse("resistance_peak = 3\nexpulsion = 5").unwrap();
        assert_eq!(
            streaks.rules().collect::<Vec<_>>(),
            [(Rule::Expulsion, 5), (Rule::ResistancePeak, 3)]
        );
        assert_eq!(
            toml::from_str::<HitStreaks>(&toml::to_string(&streaks).unwrap()),
            Ok(streaks)
        );
        assert_eq!(
            parse("resistance_peak = 1").unwrap_err(),
            "`resistance_peak` is 1, give 2 to 1000 welds in a row"
        );
        assert!(
            parse("burn = 3")
                .unwrap_err()
                .starts_with("unknown rule `burn`, expected one of: expulsion, ")
        );
    }

    proptest! {
        /// Whatever was hit: every streak is as long as the run of hits it is in, none is missed.
        #[test]
        fn streaks_are_the_runs_of_hits(welds in prop::collection::vec(any::<bool>(), 0..60), least in 2_u32..6) {
            let hits: Vec<SpotHit> = (0..).zip(&welds).filter(|(_, is_hit)| **is_hit).map(|(place, _)| hit("A", place)).collect();
            let found: Vec<u64> = streaks(&hits, least).iter().map(|streak| streak.welds).collect();
            let runs: Vec<u64> = welds
                .split(|is_hit| !is_hit)
                .map(|run| run.len() as u64)
                .filter(|welds| *welds >= u64::from(least))
                .collect();
            prop_assert_eq!(found, runs);
        }
    }
}
