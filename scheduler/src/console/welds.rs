//! NOK welds, one weld, events: what is read for these pages. Each reads rows, so few are read at a time.

use std::{collections::HashMap, sync::Arc, time::Duration};

use tokio::{
    sync::{Mutex, Semaphore},
    time::timeout,
};
use weldfleet_fleet::judging;
use weldfleet_service::exit::chain;
use weldfleet_settings::Settings;
use weldfleet_stores::{
    Key, StoreError,
    clickhouse::{
        AttemptLine, EventKey, EventLine, Events, NokFilter, NokWeld, Pareto, RowBlock, SourceTable,
    },
    mysql::{NokTable, Review, WeldKey},
};
use weldfleet_weld::{explain::Explanation, judge::Workspace, rules::RulesFile};

use super::{
    limits::{self, Limit},
    problem::Problem,
    reviews::is_of_another_verdict,
    weld_query::{ReviewFilter, WeldQuery},
    words::Text,
};

/// How long ClickHouse may take for a page.
const PATIENCE: Duration = Duration::from_secs(10);
/// Pages of this kind that are made at a time: each reads rows.
const AT_ONCE: usize = 2;
/// Welds on a page.
pub const PAGE: usize = 100;
/// Welds of an export.
pub const EXPORT: usize = 100_000;
/// Lines of the Pareto.
const PARETO: usize = 10;
/// Attempts at a weld that are shown.
const ATTEMPTS: u32 = 20;
/// Rows of the first look for welds whose review is asked for, and of the largest: the next one is near as a rule.
const FIRST_LOOK: usize = 64;
const LOOK: usize = 5000;
/// So many times more rows than the look before.
const LOOK_GROWS: usize = 8;
/// How long MySQL may take: without it there are welds still.
const REVIEW_PATIENCE: Duration = Duration::from_secs(3);
/// How long all that is read for one page may take.
const LONGEST: Duration = Duration::from_secs(30);

/// Reads welds. Cheap to clone.
#[derive(Clone)]
pub struct Welds {
    settings: Arc<Settings>,
    table: Arc<Mutex<Option<SourceTable>>>,
    /// NOK welds as people see them; `None` where `mysql.enabled` is off.
    records: Option<NokTable>,
    turns: Arc<Semaphore>,
    /// Events are few: they wait for nobody who reads welds.
    event_turns: Arc<Semaphore>,
}

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
    pub pareto: Pareto,
    pub has_bodies: bool,
    /// NOK welds of the day that MySQL has, where ClickHouse has none.
    pub in_mysql: u64,
    /// The zone by which the welds' times are told, where that is not the plant's.
    pub other_zone: Option<String>,
}

pub struct OneWeld {
    pub key: WeldKey,
    /// What is stored of its verdict.
    pub stored: Vec<(&'static str, String)>,
    /// What identifies it, in words.
    pub heading: Vec<(String, String)>,
    /// What the rules see, or why they cannot.
    pub seen: Result<Box<Explanation>, String>,
    /// What decides by the rules, and what the weld has of it.
    pub limits: Vec<Limit>,
    /// What people said of it; `Err`: why there is nothing to be said.
    pub review: Result<Review, NoReview>,
    /// Whether a note of it can be kept.
    pub takes_notes: bool,
    /// What attempts made of it; `None`: not asked for.
    pub attempts: Option<Vec<AttemptLine>>,
}

/// Why a weld cannot be reviewed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoReview {
    /// `mysql.enabled` is off.
    NoMySql,
    /// `[mysql.columns]` maps no `review_result`.
    NoColumn,
    /// MySQL has no row of it: it is not NOK, or not mirrored yet.
    NoRow,
    Failed(Problem),
}

impl NoReview {
    pub fn text(&self, text: &Text) -> String {
        match self {
            Self::NoMySql => text.no_mysql.to_owned(),
            Self::NoColumn => text.no_review_column.to_owned(),
            Self::NoRow => text.no_review_row.to_owned(),
            Self::Failed(why) => why.text(text.lang),
        }
    }
}

/// What is stored of a weld's verdict, and what people said of it, as in [`OneWeld`].
type Told = (Vec<(&'static str, String)>, Result<Review, NoReview>);

/// Why something was not read.
enum ReadError {
    Table(StoreError),
    Reviews(Problem),
}

impl From<StoreError> for ReadError {
    fn from(error: StoreError) -> Self {
        Self::Table(error)
    }
}

/// How long ClickHouse may work on an answer that is waited for so long; an account of the console's own has its bound
/// in its profile.
pub fn bound(settings: &Settings, patience: Duration) -> Option<Duration> {
    settings
        .clickhouse
        .console_user
        .is_empty()
        .then_some(patience)
}

impl Welds {
    pub fn new(settings: Arc<Settings>) -> Result<Self, StoreError> {
        Ok(Self {
            records: NokTable::new(&settings)?,
            settings,
            table: Arc::default(),
            turns: Arc::new(Semaphore::new(AT_ONCE)),
            event_turns: Arc::new(Semaphore::new(AT_ONCE)),
        })
    }

    /// Where reviews are kept, or why there is no such place.
    pub fn reviewed(&self) -> Result<&NokTable, NoReview> {
        let records = self.records.as_ref().ok_or(NoReview::NoMySql)?;
        if records.takes_reviews() {
            Ok(records)
        } else {
            Err(NoReview::NoColumn)
        }
    }

    /// What people and the fleet did, the latest first.
    pub async fn events(
        &self,
        limit: u32,
        before: Option<EventKey>,
    ) -> Result<Vec<EventLine>, Problem> {
        let events = Events::new(&self.settings).for_looking(bound(&self.settings, PATIENCE));
        let read = async { Ok(events.latest(limit, before).await?) };
        self.in_turn(&self.event_turns, read).await
    }

    async fn table(&self) -> Result<SourceTable, StoreError> {
        let mut known = self.table.lock().await;
        if let Some(table) = &*known {
            return Ok(table.clone());
        }
        let table = SourceTable::inspect(&self.settings).await?;
        let table = table.with_patience(PATIENCE);
        let longest = bound(&self.settings, PATIENCE);
        Ok(known.insert(table.for_looking(longest)).clone())
    }

    /// The table may have changed since it was looked at.
    async fn forget_table(&self) {
        *self.table.lock().await = None;
    }

    /// NOK welds of a page, the newest first.
    pub async fn nok(&self, query: &WeldQuery) -> Result<NokPage, Problem> {
        let (filter, review_filter) = (
            query.filter(&self.settings.console)?,
            query.review_filter()?,
        );
        let read = async {
            let table = self.table().await?;
            let before = query.key(table.schema());
            let list = self
                .list(&table, &filter, review_filter, before, PAGE)
                .await?;
            let is_whole_day = *query == WeldQuery::of_day(&query.day);
            let in_mysql = match &self.records {
                Some(records) if list.welds.is_empty() && is_whole_day => {
                    in_time(records.count(filter.day)).await
                }
                _ => Ok(0),
            };
            let mut page = NokPage {
                list,
                pareto: table.nok_by_defect(&filter, PARETO).await?,
                has_bodies: table.names_bodies(),
                in_mysql: 0,
                other_zone: table.schema().other_zone().map(str::to_owned),
            };
            match in_mysql {
                Ok(welds) => page.in_mysql = welds,
                Err(why) => page.list.notes.push(why),
            }
            Ok(page)
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

    /// The weld that is asked for; `None` if that day has none.
    pub async fn one(&self, query: &WeldQuery) -> Result<Option<OneWeld>, Problem> {
        let day = query.date()?;
        let read = async {
            let table = self.table().await?;
            let asked = query.key(table.schema());
            // An address of ours names the weld whole, so that all of it is read at once.
            let named = WeldKey {
                day,
                ticks: asked.as_ref().map_or(0, |key| key.ticks),
                time: query.time.clone(),
                record_id: query.id.clone(),
            };
            let (found, told) = match &asked {
                Some(key) if !query.time.is_empty() => {
                    let told = self.told_of(&table, key, &named);
                    let (found, told) = tokio::join!(table.at(day, key), told);
                    (found?, Some(told?))
                }
                Some(key) => (table.at(day, key).await?, None),
                None => {
                    let time = Some(query.time.as_str()).filter(|time| !time.is_empty());
                    let found = table.find(&query.id, Some(day), time).await?;
                    (found.map(|found| (found.block, found.row)), None)
                }
            };
            let Some((block, row)) = found else {
                return Ok(None);
            };
            let key = block.key(row).to_owned();
            let attempts = if query.attempts.is_empty() {
                None
            } else {
                Some(table.attempts_at(day, &key, ATTEMPTS).await?)
            };
            let is_named = WeldKey {
                day,
                ticks: key.ticks,
                time: block.time_text(row).to_owned(),
                record_id: block.id(row).to_string(),
            };
            let (stored, review) = match told.filter(|_| is_named == named) {
                Some(told) => told,
                None => self.told_of(&table, &key, &is_named).await?,
            };
            let (seen, limits) = match self.see(&block, row) {
                Ok((seen, limits)) => (Ok(seen), limits),
                Err(why) => (Err(why), Vec::new()),
            };
            Ok(Some(OneWeld {
                stored,
                heading: heading(&block, row),
                seen,
                limits,
                review,
                takes_notes: self.records.as_ref().is_some_and(NokTable::takes_notes),
                attempts,
                key: is_named,
            }))
        };
        self.in_turn(&self.turns, read).await
    }

    /// What MySQL has of a weld that ClickHouse does not have; `None`: nothing.
    pub async fn kept(&self, query: &WeldQuery) -> Result<Option<Review>, Problem> {
        let Some(records) = &self.records else {
            return Ok(None);
        };
        in_time(records.review_of_id(query.date()?, &query.time, &query.id)).await
    }

    /// Where reviews are kept, if the columns hold what is written there: MySQL might cut it.
    pub async fn reviewable(&self) -> Result<&NokTable, NoReview> {
        let records = self.reviewed()?;
        match in_time(records.unfit_reviews()).await {
            Ok(None) => Ok(records),
            Ok(Some(unfit)) => Err(NoReview::Failed(Problem::UnfitReviews(unfit))),
            Err(why) => Err(NoReview::Failed(why)),
        }
    }

    async fn told_of(
        &self,
        table: &SourceTable,
        key: &Key,
        named: &WeldKey,
    ) -> Result<Told, StoreError> {
        let stored = table.stored_verdict(named.day, key);
        let (stored, review) = tokio::join!(stored, self.review_of(named));
        Ok((stored?.unwrap_or_default(), review))
    }

    async fn review_of(&self, key: &WeldKey) -> Result<Review, NoReview> {
        let read = in_time(self.reviewed()?.review(key));
        let (there, reviewable) = tokio::join!(read, self.reviewable());
        let there = there.map_err(NoReview::Failed)?.ok_or(NoReview::NoRow)?;
        reviewable.map(|_| there)
    }

    async fn in_turn<T>(
        &self,
        turns: &Semaphore,
        read: impl Future<Output = Result<T, ReadError>>,
    ) -> Result<T, Problem> {
        let Ok(Ok(_turn)) = timeout(PATIENCE, turns.acquire()).await else {
            return Err(Problem::Busy);
        };
        match timeout(LONGEST, read).await {
            Ok(Ok(found)) => Ok(found),
            Ok(Err(ReadError::Reviews(why))) => Err(why),
            Ok(Err(ReadError::Table(error))) => {
                self.forget_table().await;
                Err(error.into())
            }
            Err(_) => Err(Problem::Slow {
                seconds: LONGEST.as_secs(),
            }),
        }
    }

    /// What the rules see, and how far it is from being NOK.
    fn see(&self, block: &RowBlock, row: usize) -> Result<(Box<Explanation>, Vec<Limit>), String> {
        let (weld, mut workspace) = (block.weld(row), Workspace::default());
        let mut explain = |file| {
            // No model, which this host need not have.
            let judge = judging::judge(&self.settings, None, Some(file));
            judge
                .map_err(|error| chain(&error))?
                .explain(&weld, &mut workspace)
        };
        let rules = judging::rules_file(&self.settings).map_err(|error| chain(&error))?;
        let Some(file) = rules else {
            let mut seen = Box::new(explain(&RulesFile::default())?);
            seen.hits.clear();
            seen.rule_result = None;
            return Ok((seen, Vec::new()));
        };
        let seen = Box::new(explain(&file)?);
        let settings = file.parts.get(weld.part_no).unwrap_or(&file.all);
        // A rule that cannot measure with its limits open has found what it has found as it is.
        let all = explain(&limits::opened(&file));
        let mut all = all.map_or_else(|_| Vec::new(), |seen| seen.hits);
        all.extend_from_slice(&seen.hits);
        Ok((seen, limits::of(settings, &all)))
    }
}

/// Names and texts, those of the carried columns last.
fn heading(block: &RowBlock, row: usize) -> Vec<(String, String)> {
    let known = [
        ("record_id", block.id(row).to_string()),
        ("data_date", block.day().to_string()),
        ("ck_local_time", block.time_text(row).to_owned()),
        ("part_no", block.part_no(row).to_owned()),
        ("spot_name", block.spot_name(row).to_owned()),
        ("timer_name", block.timer_name(row).to_owned()),
    ];
    let known = known.map(|(name, text)| (name.to_owned(), text));
    let carried = block.further().carried.iter().enumerate();
    let carried = carried.map(|(place, name)| (name.clone(), block.carried(row, place).to_owned()));
    let all = known.into_iter().chain(carried);
    all.filter(|(_, text)| !text.is_empty()).collect()
}

async fn in_time<T>(work: impl Future<Output = Result<T, StoreError>>) -> Result<T, Problem> {
    match timeout(REVIEW_PATIENCE, work).await {
        Ok(done) => done.map_err(Problem::from),
        Err(_) => Err(Problem::MySqlSilent {
            seconds: REVIEW_PATIENCE.as_secs(),
        }),
    }
}

fn fits(Listed { weld, review }: &Listed, filter: ReviewFilter) -> bool {
    let is_open = || review.is_none() || is_of_another_verdict(review, &weld.judged);
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
