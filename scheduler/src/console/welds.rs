//! NOK welds, and one weld: what is read for these pages.

use std::{fs, sync::Arc, time::Duration};

use tokio::sync::{Mutex, Semaphore};
use weldfleet_service::exit::causes;
use weldfleet_settings::Settings;
use weldfleet_stores::{
    Day, StoreError,
    clickhouse::{NokFilter, NokShare, NokWeld, SourceTable},
};
use weldfleet_weld::{
    explain::Explanation,
    judge::{Judge, Workspace},
    rules::{RuleSet, RulesFile},
};

/// How long ClickHouse may take for a page.
const PATIENCE: Duration = Duration::from_secs(10);
/// Pages of this kind that are made at a time: each reads rows.
const AT_ONCE: usize = 2;
/// Welds on a page.
pub const PAGE: u32 = 100;
/// Lines of the Pareto.
const PARETO: u32 = 10;

/// Reads welds. Cheap to clone.
#[derive(Clone)]
pub struct Welds {
    settings: Arc<Settings>,
    table: Arc<Mutex<Option<SourceTable>>>,
    turns: Arc<Semaphore>,
}

/// A page of NOK welds.
pub struct NokPage {
    pub welds: Vec<NokWeld>,
    pub pareto: Vec<NokShare>,
    pub more: bool,
}

/// One weld.
pub struct OneWeld {
    /// What is stored of its verdict.
    pub stored: Vec<(&'static str, String)>,
    /// What identifies it, in words.
    pub heading: Vec<(&'static str, String)>,
    /// What the rules see, or why they cannot.
    pub seen: Result<Box<Explanation>, String>,
}

impl Welds {
    pub fn new(settings: Arc<Settings>) -> Self {
        Self {
            settings,
            table: Arc::default(),
            turns: Arc::new(Semaphore::new(AT_ONCE)),
        }
    }

    async fn table(&self) -> Result<SourceTable, StoreError> {
        let mut known = self.table.lock().await;
        if let Some(table) = &*known {
            return Ok(table.clone());
        }
        let table = SourceTable::inspect(&self.settings).await?;
        Ok(known.insert(table.with_patience(PATIENCE)).clone())
    }

    /// The table may have changed since it was looked at.
    async fn forget_table(&self) {
        *self.table.lock().await = None;
    }

    /// NOK welds, the newest first.
    pub async fn nok(&self, filter: &NokFilter, page: u64) -> Result<NokPage, String> {
        let read = async {
            let table = self.table().await?;
            let mut welds = table
                .nok_welds(filter, PAGE + 1, page * u64::from(PAGE))
                .await?;
            let more = welds.len() > PAGE as usize;
            welds.truncate(PAGE as usize);
            Ok(NokPage {
                welds,
                pareto: table.nok_by_defect(filter, PARETO).await?,
                more,
            })
        };
        self.in_turn(read).await
    }

    /// The weld of this id and, where it is given, of this time; `None` if that day has none.
    pub async fn one(
        &self,
        day: Day,
        record_id: &str,
        time: Option<&str>,
    ) -> Result<Option<OneWeld>, String> {
        let read = async {
            let table = self.table().await?;
            let Some((block, row)) = table.find(record_id, Some(day), time).await? else {
                return Ok(None);
            };
            let stored = table
                .stored_verdict(day, block.time_text(row), record_id)
                .await?;
            let mut heading = vec![
                ("record_id", block.id(row).to_string()),
                ("data_date", block.day().to_string()),
                ("ck_local_time", block.time_text(row).to_string()),
                ("part_no", block.part_no(row).to_string()),
                ("spot_name", block.spot_name(row).to_string()),
                ("timer_name", block.timer_name(row).to_string()),
            ];
            heading.retain(|(_, text)| !text.is_empty());
            let seen = self.judge().and_then(|judge| {
                let mut workspace = Workspace::default();
                judge.explain(&block.weld(row), &mut workspace)
            });
            let seen = seen.map(|mut explanation| {
                if !self.settings.rules.enabled {
                    explanation.hits.clear();
                }
                Box::new(explanation)
            });
            Ok(Some(OneWeld {
                stored: stored.unwrap_or_default(),
                heading,
                seen,
            }))
        };
        self.in_turn(read).await
    }

    async fn in_turn<T>(
        &self,
        read: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, String> {
        let Ok(_turn) = self.turns.try_acquire() else {
            return Err("others are looking at welds at this moment; ask again".to_owned());
        };
        match read.await {
            Ok(found) => Ok(found),
            Err(error) => {
                self.forget_table().await;
                Err(error.chain_and_remedy())
            }
        }
    }

    /// Rules and units as the workers have them; no model, which this host need not have.
    fn judge(&self) -> Result<Judge, String> {
        let settings = &self.settings;
        let file = if settings.rules.enabled {
            let path = &settings.rules.file;
            let text = fs::read_to_string(path)
                .map_err(|error| format!("rules.file = \"{}\": {error}", path.display()))?;
            RulesFile::from_toml(&text).map_err(|error| causes(&error))?
        } else {
            RulesFile::default()
        };
        let rules = RuleSet::new(&file, settings.curves.sample_interval_ms);
        Judge::new(
            settings.curves,
            settings.validation,
            None,
            Some(rules),
            settings.fusion.override_threshold,
        )
        .map_err(|error| error.to_string())
    }
}
