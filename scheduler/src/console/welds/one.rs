//! One weld: what is stored of it, what the rules see of it now, what people said.

use weldfleet_fleet::judging;
use weldfleet_service::exit::chain;
use weldfleet_stores::{
    Key, StoreError,
    clickhouse::{AttemptLine, RowBlock, SourceTable},
    mysql::{NokTable, Review, WeldKey},
};
use weldfleet_weld::{explain::Explanation, judge::Workspace, rules::RulesFile};

use super::{Welds, in_time};
use crate::console::{
    limits::{self, Limit},
    problem::Problem,
    weld_query::WeldQuery,
};

/// Attempts at a weld that are shown.
const ATTEMPTS: u32 = 20;

pub struct OneWeld {
    pub key: WeldKey,
    /// What is stored of its verdict.
    pub stored: Vec<(&'static str, String)>,
    /// What identifies it, in words.
    pub heading: Vec<(String, String)>,
    /// What the rules see, or what else there is to see.
    pub seen: Result<Box<Explanation>, Unjudged>,
    /// What decides by the rules, and what the weld has of it.
    pub limits: Vec<Limit>,
    /// What people said of it; `Err`: why there is nothing to be said.
    pub review: Result<Review, Problem>,
    /// Whether a note of it can be kept.
    pub takes_notes: bool,
    /// What attempts made of it; `None`: not asked for.
    pub attempts: Option<Vec<AttemptLine>>,
}

/// A weld in which the rules can see nothing.
pub struct Unjudged {
    pub why: String,
    /// Its curves as they were recorded.
    pub recorded: Option<Box<Explanation>>,
}

/// What is stored of a weld's verdict, and what people said of it, as in [`OneWeld`].
type Told = (Vec<(&'static str, String)>, Result<Review, Problem>);

impl Welds {
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
                Err(why) => {
                    let recorded = self.as_recorded(&block, row).map(Box::new);
                    (Err(Unjudged { why, recorded }), Vec::new())
                }
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

    async fn review_of(&self, key: &WeldKey) -> Result<Review, Problem> {
        let read = in_time(self.reviewed()?.review(key));
        let (there, reviewable) = tokio::join!(read, self.reviewable());
        let there = there?.ok_or(Problem::NoReviewRow)?;
        reviewable.map(|_| there)
    }

    fn as_recorded(&self, block: &RowBlock, row: usize) -> Option<Explanation> {
        let judge = judging::judge(&self.settings, None, Some(&RulesFile::default())).ok()?;
        judge.as_recorded(&block.weld(row))
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
