//! The table's shape, read from the server.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use weldfleet_settings::{Columns, Settings, columns::RESULT_COLUMNS};

use super::{
    Column, DayType, FurtherColumns, FurtherNames, IdType, Schema, TimeType,
    check::{beside_its_own, check_column, fits, is_for_comparison},
    description::{ColumnRow, TableDescription, table_fault},
};
use crate::{
    clickhouse::{
        ColumnType, Server, SourceTable, Version,
        arena::Spare,
        column_type::unwrap,
        leading::LeadingColumn,
        quote::{identifier, qualified},
        versions,
    },
    commas,
    errors::{Class, SchemaFault, StoreError, refuse_faults},
    mirror_layout::MirrorLayout,
};

impl Column {
    fn of(row: &ColumnRow) -> Self {
        Self {
            plain: row.name.clone(),
            quoted: identifier(&row.name),
            kind: ColumnType::parse(&row.r#type),
        }
    }
}

impl SourceTable {
    /// Looks at the source table and refuses what cannot be worked with, every fault at once.
    ///
    /// The table must be complete: result columns there, lightweight UPDATE turned on. What is
    /// missing is `scheduler migrate`'s to add, and the error says so.
    pub async fn inspect(settings: &Settings) -> Result<Self, StoreError> {
        Self::inspect_on(Server::new(&settings.clickhouse), settings).await
    }

    /// The same, the server waited for at most this long, now and later.
    pub async fn inspect_within(
        patience: Duration,
        settings: &Settings,
    ) -> Result<Self, StoreError> {
        let server = Server::new(&settings.clickhouse).with_patience(patience);
        Self::inspect_on(server, settings).await
    }

    async fn inspect_on(server: Server, settings: &Settings) -> Result<Self, StoreError> {
        let server = server.selecting(&settings.tables);
        let Some(schema) = Schema::load(&server, settings).await? else {
            return Err(missing_table(settings));
        };
        let lacks = [
            ("result columns are missing", &schema.missing_results),
            (
                "lightweight UPDATE is not turned on",
                &schema.missing_settings,
            ),
        ];
        let faults: Vec<SchemaFault> = lacks
            .into_iter()
            .filter(|(_, names)| !names.is_empty())
            .map(|(what, names)| {
                table_fault(
                    format!("{what}: {}", names.join(", ")),
                    "run `scheduler migrate`",
                )
            })
            .collect();
        refuse_faults(&settings.tables.source_table, faults)?;
        Ok(Self {
            server,
            schema: schema.into(),
            spare: Spare::default(),
            range_bytes: settings.worker.max_range_bytes,
            mirrored: MirrorLayout::of(settings).columns.into(),
        })
    }
}

fn missing_table(settings: &Settings) -> StoreError {
    let problem = format!(
        "no such table in database `{}`",
        settings.clickhouse.database
    );
    let remedy = "name the plant's table, run `scheduler migrate` to make one, or GRANT SELECT on it: \
                  an account sees only what it may read";
    StoreError::schema(
        &settings.tables.source_table,
        vec![table_fault(problem, remedy)],
    )
}

/// Refuses a server that cannot run lightweight UPDATE, and an account that may not send the settings that are pinned.
pub(crate) async fn supported_version(server: &Server) -> Result<Version, StoreError> {
    let version = server.version().await?;
    if version < Version::LIGHTWEIGHT_UPDATE {
        return Err(StoreError::refused(
            format!("clickhouse server is version {version}, which has no lightweight UPDATE"),
            format!(
                "upgrade it to {} or newer; results cannot be written back atomically without it",
                Version::LIGHTWEIGHT_UPDATE
            ),
        ));
    }
    server.check_settings().await?;
    Ok(version)
}

fn selected(filter: &str) -> String {
    match filter.trim() {
        "" => "1".to_owned(),
        filter => format!("({filter})"),
    }
}

/// Lets the server read the filter, before anything relies on it. It plans the question and answers none: every start,
/// probe and `status` comes by here, and the table may have years of rows.
async fn check_filter(server: &Server, settings: &Settings) -> Result<(), StoreError> {
    let filter = settings.tables.filter.trim();
    if filter.is_empty() {
        return Ok(());
    }
    let source = qualified(server.database(), &settings.tables.source_table);
    // By itself first: in brackets, `1) OR (1` would be an expression too.
    let alone = format!("EXPLAIN SELECT count() FROM {source} WHERE NOT ignore(1)");
    let bracketed = format!(
        "EXPLAIN QUERY TREE SELECT count() FROM {source} WHERE ({filter}) AND NOT ignore(1)"
    );
    let refuse = |problem: String, remedy: &str| {
        let fault = SchemaFault::new("tables.filter", format!("`{filter}`{problem}"), remedy);
        refuse_faults(&settings.tables.source_table, vec![fault])
    };
    let mut tree = Vec::new();
    for sql in [alone, bracketed] {
        match server.all::<String>("read tables.filter", &sql).await {
            Ok(lines) => tree = lines,
            Err(error) if error.class() == Class::Outage => return Err(error),
            Err(error) => {
                return refuse(
                    format!(": {}", error.words()),
                    "give a condition over the plant's columns, such as prog_no NOT IN ('41', '51'); names other than of Latin letters, digits and `_` stand in backticks: `程序`",
                );
            }
        }
    }
    let results = RESULT_COLUMNS
        .iter()
        .map(|ours| settings.columns.name(ours));
    let used = results.filter(|name| reads_column(&tree, name));
    let used = commas(used.map(|name| format!("`{name}`")));
    if used.is_empty() {
        return Ok(());
    }
    refuse(
        format!(
            " depends on the result column {used}: a row would leave the fleet once it has a verdict, or never reach MySQL"
        ),
        "leave that condition out; which rows have a verdict the fleet knows by itself",
    )
}

/// Whether a query's tree has a column, or a piece of it such as `name.null`, whatever the query calls it.
fn reads_column(tree: &[String], name: &str) -> bool {
    tree.iter()
        .filter_map(|line| line.split_once(", column_name: "))
        .filter_map(|(_, rest)| rest.strip_prefix(name))
        .any(|rest| rest.starts_with([',', '.']))
}

impl Schema {
    /// The table's shape, `None` if there is no such table. What `migrate` cannot change is an error.
    pub(crate) async fn load(
        server: &Server,
        settings: &Settings,
    ) -> Result<Option<Self>, StoreError> {
        let version = supported_version(server).await?;
        let Some(described) = TableDescription::read(server, settings).await? else {
            return Ok(None);
        };
        check_filter(server, settings).await?;
        described.into_schema(server, version).map(Some)
    }
}

/// What a table has of the columns that have a name of ours by themselves.
#[derive(Default)]
struct KnownColumns {
    columns: BTreeMap<&'static str, Column>,
    /// See [`Schema::passed_over`].
    passed_over: BTreeMap<&'static str, String>,
    missing_results: Vec<&'static str>,
}

impl TableDescription<'_> {
    fn into_schema(self, server: &Server, version: Version) -> Result<Schema, StoreError> {
        let mut faults = Vec::new();
        self.check_engine(&mut faults);
        let KnownColumns {
            columns,
            passed_over,
            missing_results,
        } = self.known_columns(&mut faults);
        let further = self.further(&mut faults);
        refuse_faults(&self.settings.tables.source_table, faults)?;
        let bare = |ours| {
            columns
                .get(ours)
                .map_or("", |column: &Column| column.kind.bare.as_str())
        };
        let (time, time_zone) = time_type(bare("ck_local_time"));
        Ok(Schema {
            database: server.database().to_owned(),
            table: self.settings.tables.source_table.clone(),
            source: qualified(server.database(), &self.settings.tables.source_table),
            results: qualified(server.database(), "weld_results"),
            version,
            id: if bare("record_id") == "String" {
                IdType::Text
            } else {
                IdType::Number
            },
            day: match bare("data_date") {
                "Date" => DayType::Date,
                "Date32" => DayType::Date32,
                "String" => DayType::Text,
                _ => DayType::Number,
            },
            time,
            time_zone,
            plant_zone: self.settings.scheduler.timezone.name().to_owned(),
            missing_results,
            missing_settings: self.missing_settings(),
            has_old_truth: self.has_old_truth(),
            keeps_versions: self.engine_family() == "ReplacingMergeTree",
            narrowing: self.narrowing(),
            leading: self.leading(),
            table_id: self.table.table_id,
            create_table_query: self.table.create_table_query,
            selected: selected(&self.settings.tables.filter),
            columns,
            passed_over,
            further,
        })
    }

    /// Finds the columns that have a name of ours by themselves.
    fn known_columns(&self, faults: &mut Vec<SchemaFault>) -> KnownColumns {
        let mut known = KnownColumns::default();
        for ours in Columns::known() {
            let theirs = self.settings.columns.name(ours);
            faults.extend(beside_its_own(ours, theirs, |name| {
                self.column(name).is_some()
            }));
            let Some(row) = self.column(theirs) else {
                match RESULT_COLUMNS.contains(&ours) {
                    true => known.missing_results.push(ours),
                    false => self.check_missing(ours, theirs, faults),
                }
                continue;
            };
            let column = Column::of(row);
            if theirs == ours
                && is_for_comparison(ours)
                && let (false, expected) = fits(ours, &column.kind)
            {
                let kind = &column.kind.full;
                let why = format!("column `{ours}` is {kind}: expected {expected}");
                known.passed_over.insert(ours, why);
                continue;
            }
            check_column(ours, row, &column.kind, faults);
            known.columns.insert(ours, column);
        }
        known
    }

    /// Carried columns and further numbers.
    fn further(&self, faults: &mut Vec<SchemaFault>) -> FurtherColumns {
        let (mut names, mut further) = (FurtherNames::default(), FurtherColumns::default());
        let columns = &self.settings.columns;
        let carried = columns.carried().map(|pair| ("carried", pair));
        let scalars = columns.scalars().map(|pair| ("scalars", pair));
        for (section, (ours, theirs)) in carried.chain(scalars) {
            let key = format!("columns.{section}.{ours}");
            let Some(row) = self.column(theirs) else {
                faults.push(self.no_column(key, theirs));
                continue;
            };
            let column = Column::of(row);
            let kind = &column.kind;
            let (fits, expected, names, columns) = match section {
                "carried" => (
                    !kind.bare.starts_with("AggregateFunction"),
                    "values, not states of a sum",
                    &mut names.carried,
                    &mut further.carried,
                ),
                _ => (
                    kind.is_number() || kind.is_text(),
                    "a number, or text",
                    &mut names.scalars,
                    &mut further.scalars,
                ),
            };
            if fits {
                names.push(ours.to_owned());
                columns.push(column);
            } else {
                let problem = format!("column `{theirs}` is {}: expected {expected}", kind.full);
                let remedy = "map another column, or remove the line";
                faults.push(SchemaFault::new(key, problem, remedy));
            }
        }
        further.names = Arc::new(names);
        further
    }

    /// By what few rows are found before versions are compared.
    fn narrowing(&self) -> Vec<String> {
        if self.engine_family() != "ReplacingMergeTree" {
            return Vec::new();
        }
        let ours = ["data_date", "ck_local_time", "record_id"];
        let theirs = ours.map(|ours| self.settings.columns.name(ours));
        versions::narrowing(&self.table.sorting_key, theirs, |column| {
            self.column_type(column).is_none_or(|kind| kind.nullable)
        })
    }

    /// The column that leads the sorting key.
    fn leading(&self) -> Option<LeadingColumn> {
        let ours = ["data_date", "ck_local_time"];
        let theirs = ours.map(|ours| self.settings.columns.name(ours));
        LeadingColumn::of(&self.table.sorting_key, theirs, |column| {
            self.column_type(column)
        })
    }
}

fn time_type(bare: &str) -> (TimeType, Option<String>) {
    let arguments = |wrapper| unwrap(bare, wrapper).map(|inner| inner.split(',').map(str::trim));
    let zone = |text: Option<&str>| text.map(|zone| zone.trim_matches('\'').to_owned());
    if let Some(mut given) = arguments("DateTime64") {
        let precision = given.next().and_then(|text| text.parse().ok()).unwrap_or(3);
        return (TimeType::Ticks(precision), zone(given.next()));
    }
    let zone = arguments("DateTime").and_then(|mut given| zone(given.next()));
    (TimeType::Seconds, zone)
}
