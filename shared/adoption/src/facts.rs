//! What the servers said about their tables; data alone.

use weldfleet_settings::columns::RESULT_COLUMNS;

/// An answer, or why there is none: in the words of whoever asked, with no secret in them; empty where nobody asked.
pub type Answer<T> = Result<T, String>;

/// Everything that is known besides the old configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// Which of the possible addresses of ClickHouse answered; the first where none did.
    pub clickhouse_url: String,
    pub source: Answer<SourceTable>,
    /// The columns of the table that the old service writes; none where it does not exist.
    pub mysql: Answer<Vec<MySqlColumn>>,
}

/// The plant's table of welds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SourceTable {
    pub columns: Vec<SourceColumn>,
    /// The latest rows as text, each with a value for every column.
    pub rows: Vec<Vec<Option<String>>>,
    /// What the column of weld programs holds on the newest days, each with its rows; empty where nobody counted.
    pub programs: Vec<(Option<String>, u64)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceColumn {
    pub name: String,
    /// As ClickHouse writes it.
    pub kind: String,
}

impl SourceColumn {
    /// The type without `Nullable` and `LowCardinality`.
    pub fn bare(&self) -> &str {
        let mut bare = self.kind.as_str();
        for wrapper in ["LowCardinality(", "Nullable("] {
            if let Some(inner) = bare.strip_prefix(wrapper) {
                bare = inner.strip_suffix(')').unwrap_or(inner);
            }
        }
        bare
    }

    pub fn is_nullable(&self) -> bool {
        self.kind.contains("Nullable(") && !self.kind.starts_with("Array")
    }
}

impl SourceTable {
    pub fn column(&self, name: &str) -> Option<&SourceColumn> {
        self.columns.iter().find(|column| column.name == name)
    }

    /// The column's values in the latest rows; none where the table has no such column.
    pub fn values(&self, name: &str) -> Vec<Option<&str>> {
        let Some(at) = self.columns.iter().position(|column| column.name == name) else {
            return Vec::new();
        };
        self.rows
            .iter()
            .map(|row| row.get(at).and_then(Option::as_deref))
            .collect()
    }

    /// The table as it was before `scheduler migrate`, so that who adopts it once more is told what was told first.
    pub(crate) fn before_the_fleet(&self) -> Self {
        let has = |name: &str| self.column(name).is_some();
        let has_beside = |ours: &str| has(&name_beside(ours));
        // Every table of a fleet has these.
        let is_fleets = ["alg_run", "alg_token", "alg_job"]
            .iter()
            .all(|ours| has(ours) || has_beside(ours));
        let is_added = |name: &str| {
            RESULT_COLUMNS.iter().any(|ours| {
                let is_own = name == *ours && is_fleets && !has_beside(ours);
                is_own || name == name_beside(ours)
            })
        };
        let kept: Vec<usize> = (0..self.columns.len())
            .filter(|at| !is_added(&self.columns[*at].name))
            .collect();
        let row = |row: &Vec<Option<String>>| {
            let cells = kept.iter().map(|at| row.get(*at).cloned().flatten());
            cells.collect()
        };
        Self {
            columns: kept.iter().map(|at| self.columns[*at].clone()).collect(),
            rows: self.rows.iter().map(row).collect(),
            programs: self.programs.clone(),
        }
    }
}

/// What a result column is called beside one that the fleet did not make.
pub(crate) fn name_beside(ours: &str) -> String {
    format!("weldfleet_{ours}")
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MySqlColumn {
    pub name: String,
    /// Lower case, without its length: `varchar`, `datetime`.
    pub kind: String,
    pub nullable: bool,
    /// An INSERT that does not name it is refused.
    pub demanded: bool,
}
