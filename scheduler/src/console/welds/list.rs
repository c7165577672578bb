//! The NOK welds of a day, and how many there are by defect.

use std::collections::HashMap;

use weldfleet_stores::{
    Key,
    clickhouse::{BODY, NokFilter, NokWeld, Pareto, SourceTable},
    mysql::Review,
};

use super::{ReadError, Welds, in_time};
use crate::console::{
    problem::Problem,
    weld_query::{ReviewFilter, WeldQuery},
};

/// Welds on a page.
pub const PAGE: usize = 100;
/// Welds of an export.
pub const EXPORT: usize = 100_000;
/// Lines of the Pareto.
const PARETO: usize = 10;
/// Rows of the first look for welds whose review is asked for, and of the largest: the next one is near as a rule.
const FIRST_LOOK: usize = 64;
const LOOK: usize = 5000;
/// So many times more rows than the look before.
const LOOK_GROWS: usize = 8;

/// A weld with what people said of it.
pub struct Listed {
    pub weld: NokWeld,
    pub review: Review,
}

/// A stretch of the list.
#[derive(Default)]
pub struct WeldList {
    pub welds: Vec<Listed>,
    /// Whether there are older ones.
    pub more: bool,
    /// Why the list is not as it should be.
    pub notes: Vec<Problem>,
}

/// A page of NOK welds.
pub struct NokPage {
    pub list: WeldList,
    /// `None`: the notes say why.
    pub pareto: Option<Pareto>,
    pub has_bodies: bool,
    /// NOK welds of the day that MySQL has, where ClickHouse has none.
    pub in_mysql: u64,
    /// The zone by which the welds' times are told, where that is not the plant's.
    pub other_zone: Option<String>,
}

impl Welds {
    /// NOK welds of a page, the newest first.
    pub async fn nok(&self, query: &WeldQuery) -> Result<NokPage, Problem> {
        let (filter, review_filter) = (
            query.filter(&self.settings.console)?,
            query.review_filter()?,
        );
        let read = async {
            let table = self.table().await?;
            let before = query.key(table.schema());
            let mut list = self
                .list(&table, &filter, review_filter, before, PAGE)
                .await?;
            let is_whole_day = *query == WeldQuery::of_day(&query.day);
            let in_mysql = match &self.records {
                Some(records) if list.welds.is_empty() && is_whole_day => {
                    in_time(records.count(filter.day)).await
                }
                _ => Ok(0),
            };
            // Dearer than the list where verdicts are in patch parts still.
            let pareto = table.nok_by_defect(&filter, PARETO).await;
            let pareto = pareto.map_err(|why| list.notes.push(why.into())).ok();
            let in_mysql = in_mysql.unwrap_or_else(|why| {
                list.notes.push(why);
                0
            });
            Ok(NokPage {
                list,
                pareto,
                has_bodies: table.carries(BODY),
                in_mysql,
                other_zone: table.schema().other_zone().map(str::to_owned),
            })
        };
        self.in_turn(&self.turns, read).await
    }

    /// NOK welds by defect, all of the defects.
    pub async fn pareto(&self, query: &WeldQuery) -> Result<Pareto, Problem> {
        let filter = query.filter(&self.settings.console)?;
        let read = async {
            Ok(self
                .table()
                .await?
                .nok_by_defect(&filter, usize::MAX)
                .await?)
        };
        self.in_turn(&self.turns, read).await
    }

    /// All of them, for an export: whole, or not at all.
    pub async fn all(&self, query: &WeldQuery) -> Result<WeldList, Problem> {
        let (filter, review_filter) = (
            query.filter(&self.settings.console)?,
            query.review_filter()?,
        );
        let read = async {
            let table = self.table().await?;
            self.list(&table, &filter, review_filter, None, EXPORT)
                .await
        };
        let all = self.in_turn(&self.turns, read).await?;
        if all.more {
            return Err(Problem::TooMany { most: EXPORT });
        }
        match all.notes.first() {
            None => Ok(all),
            Some(why) => Err(why.clone()),
        }
    }

    /// The weld that the list has behind this one.
    pub async fn next(
        &self,
        query: &WeldQuery,
        review_filter: ReviewFilter,
    ) -> Result<Option<NokWeld>, Problem> {
        let filter = query.filter(&self.settings.console)?;
        let read = async {
            let table = self.table().await?;
            let before = query.key(table.schema());
            let mut list = self.list(&table, &filter, review_filter, before, 1).await?;
            Ok(list.welds.pop().map(|listed| listed.weld))
        };
        self.in_turn(&self.turns, read).await
    }

    async fn list(
        &self,
        table: &SourceTable,
        filter: &NokFilter,
        review_filter: ReviewFilter,
        mut before: Option<Key>,
        most: usize,
    ) -> Result<WeldList, ReadError> {
        let (reviews, days) = (self.reviewed().ok(), filter.days());
        let mut found = WeldList::default();
        if reviews.is_none() && review_filter != ReviewFilter::Any {
            return Err(ReadError::Reviews(Problem::NoReviews));
        }
        let mut look = match review_filter {
            ReviewFilter::Any => most + 1,
            _ => (most + 1).clamp(FIRST_LOOK, LOOK),
        };
        loop {
            let limit = u32::try_from(look).unwrap_or(u32::MAX);
            let welds = table.nok_welds(filter, before.as_ref(), limit).await?;
            let last_look = welds.len() < look;
            let schema = table.schema();
            let last = welds.last();
            before = last.and_then(|last| schema.key_of(last.ticks, &last.record_id));
            let span = (welds.last(), welds.first());
            let said = match (reviews, span) {
                (Some(reviews), (Some(oldest), Some(newest))) => {
                    let read = reviews.reviews(&days, oldest.ticks, newest.ticks);
                    match in_time(read).await {
                        Ok(said) => said,
                        Err(why) if review_filter == ReviewFilter::Any => {
                            found.notes.push(why);
                            HashMap::new()
                        }
                        Err(why) => return Err(ReadError::Reviews(why)),
                    }
                }
                _ => HashMap::new(),
            };
            let listed = welds.into_iter().map(|weld| {
                // A weld may have several rows.
                let review = said.get(&(weld.ticks, weld.record_id.clone()));
                Listed {
                    review: review.cloned().unwrap_or_default(),
                    weld,
                }
            });
            found
                .welds
                .extend(listed.filter(|listed| fits(listed, review_filter)));
            if found.welds.len() > most {
                found.welds.truncate(most);
                found.more = true;
                return Ok(found);
            }
            if last_look || before.is_none() {
                return Ok(found);
            }
            look = (look * LOOK_GROWS).min(LOOK);
        }
    }
}

fn fits(Listed { weld, review }: &Listed, filter: ReviewFilter) -> bool {
    let is_open = || review.is_none() || review.is_of_another_verdict(&weld.judged);
    match filter {
        ReviewFilter::Any => true,
        ReviewFilter::Open => is_open(),
        ReviewFilter::Done => !is_open(),
        ReviewFilter::Saying(result) => review.result == result,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(review: Review) -> Listed {
        let weld = NokWeld {
            day: 20_261_129,
            ticks: 0,
            time: String::new(),
            record_id: "7".to_owned(),
            part_no: String::new(),
            spot_name: String::new(),
            timer_name: String::new(),
            body_no: String::new(),
            defect: String::new(),
            decided_by: String::new(),
            probability: f64::NAN,
            model_version: String::new(),
            judged: "2026-11-29 04:00:05.250".to_owned(),
        };
        Listed { weld, review }
    }

    #[test]
    fn a_note_alone_is_a_review_too() {
        let noted = listed(Review {
            note: "look again".to_owned(),
            ..Review::default()
        });
        let all = ReviewFilter::NAMED.map(|(_, filter)| fits(&noted, filter));
        assert_eq!(all, [true, false, true, false, false, false]);
    }

    #[test]
    fn a_review_of_another_verdict_is_open_again() {
        let at = |at: &str| {
            listed(Review {
                result: "confirmed".to_owned(),
                at: at.to_owned(),
                ..Review::default()
            })
        };
        let open = |listed: Listed| {
            let all = [ReviewFilter::Open, ReviewFilter::Done];
            let told = all.map(|filter| fits(&listed, filter));
            assert_ne!(told[0], told[1]);
            assert!(fits(&listed, ReviewFilter::Saying("confirmed")));
            told[0]
        };
        assert!(open(at("2026-11-29 04:00:04")));
        // Kept to the second.
        assert!(!open(at("2026-11-29 04:00:05")));
        assert!(!open(at("2026-11-29 04:00:05.1")));
        // An application may not have the column, or keep something else there.
        assert!(!open(at("")) && !open(at("yesterday")));
    }
}
