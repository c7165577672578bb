//! Settling: patch parts, which hold what UPDATEs wrote, become part of the rows' own parts.
//!
//! Until then `BACKUP` and `FREEZE` leave the verdicts out, `MOVE` and `DETACH` answer 344, reads are several times
//! dearer, and a table whose patch parts reach a limit takes no UPDATE any more (755). Nothing is remembered:
//! `system.parts` says what is unsettled.
//!
//! Two facts of the server decide how this may be used:
//! - on a table that is not replicated, `APPLY PATCHES IN PARTITION` applies the patches of *every* partition;
//! - an UPDATE that is under way while patches are applied may be acknowledged and lost, whatever its partition
//!   (<https://github.com/ClickHouse/ClickHouse/issues/116686>). So nothing may write to the table meanwhile: that is
//!   the caller's to arrange, and [`SourceTable::updates_under_way`] tells.

use clickhouse::Row;
use serde::Deserialize;

use super::{
    Server, SourceTable,
    quote::{literal, literals},
};
use crate::{
    commas,
    errors::{Class, StoreError},
    range::Day,
};

/// The table setting that bounds patch parts.
const PATCH_LIMIT: &str = "max_uncompressed_bytes_in_patches";

/// Partitions that one statement names.
const MOST_PARTITIONS: usize = 200;

/// The patch parts of the source table.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Patches {
    /// Bytes that count towards `limit`: those of applied patches, too, for the half minute in which they are still
    /// there.
    pub bytes: u64,
    /// Bytes beyond which the server refuses every UPDATE of the table.
    pub limit: u64,
    /// Parts of the table: applying patches of one partition gives each a new version, one after the other.
    pub parts: u64,
    /// Partitions with patches that are not applied, in order.
    pub partitions: Vec<PatchedPartition>,
}

impl Patches {
    /// Half of what may be there is there.
    pub fn are_many(&self) -> bool {
        self.limit > 0 && self.bytes >= self.limit / 2
    }

    /// The days of all partitions, each once, in order.
    pub fn days(&self) -> Vec<Day> {
        let days = self.partitions.iter().flat_map(|partition| &partition.days);
        let mut days: Vec<Day> = days.map(|day| day.day).collect();
        days.sort_unstable();
        days.dedup();
        days
    }
}

/// A partition with patches that are not applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PatchedPartition {
    /// Its id, as `system.parts` has it.
    pub id: String,
    /// Seconds since its newest patch part was written, by the server's clock.
    pub quiet_seconds: u64,
    /// Its days on which any row has a verdict or a reason, in order. A partition may hold several, and a day be in
    /// several.
    pub days: Vec<PatchedDay>,
}

/// A day of a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PatchedDay {
    pub day: Day,
    /// Rows of it in this partition that have neither verdict nor reason.
    pub left: u64,
}

/// Patches that are being applied.
#[derive(Debug, Clone, PartialEq, Eq, Row, Deserialize)]
pub struct Applying {
    /// Parts that are still to be done.
    pub parts_left: u64,
    /// Seconds since it was asked for, by the server's clock.
    pub seconds: u64,
    /// Why the last try failed; empty if none has.
    pub failed: String,
}

#[derive(Row, Deserialize)]
struct PartitionRow {
    partition: String,
    bytes: u64,
    quiet_seconds: u64,
    unapplied: u8,
    parts: u64,
}

impl SourceTable {
    /// What is not settled. Reads the partitions concerned: two narrow columns of each row.
    pub async fn patches(&self) -> Result<Patches, StoreError> {
        let schema = &self.schema;
        // A patch is applied to a part whose version is not below its own: what the server compares, too.
        let sql = format!(
            "SELECT partition, sumIf(data_uncompressed_bytes, is_patch) AS bytes, \
             toUInt64(greatest(0, toInt64(now()) - toInt64(maxIf(modification_time, is_patch)))) AS quiet_seconds, \
             toUInt8(countIf(NOT is_patch) > 0 AND maxIf(data_version, is_patch) > minIf(data_version, NOT is_patch)) AS unapplied, \
             assumeNotNull((SELECT count() FROM system.parts WHERE active AND {about})) AS parts \
             FROM (SELECT startsWith(partition_id, 'patch-') AS is_patch, data_version, data_uncompressed_bytes, modification_time, \
             CAST(if(is_patch, replaceRegexpOne(partition_id, '^patch-[0-9a-f]+-', ''), partition_id) AS String) AS partition \
             FROM system.parts WHERE active AND {about}) \
             GROUP BY partition HAVING countIf(is_patch) > 0 ORDER BY partition",
            about = schema.about("table"),
        );
        let found: Vec<PartitionRow> = self.server.all("read patch parts", &sql).await?;
        let mut patches = Patches {
            bytes: found.iter().map(|row| row.bytes).sum(),
            limit: self.patch_limit().await?,
            parts: found.first().map_or(0, |row| row.parts),
            partitions: found
                .into_iter()
                .filter(|row| row.unapplied == 1)
                .map(|row| PatchedPartition {
                    id: row.partition,
                    quiet_seconds: row.quiet_seconds,
                    days: Vec::new(),
                })
                .collect(),
        };
        if patches.partitions.is_empty() {
            return Ok(patches);
        }
        let complete = schema.column("alg_complete_time");
        // Moved to PREWHERE, the condition alone is read of parts whose patches differ; 26.7 then misses a column.
        let sql = format!(
            "SELECT CAST(_partition_id AS String), toUInt32({day}), countIf({complete} IS NULL) \
             FROM {source} WHERE _partition_id IN ({ids}) GROUP BY 1, 2 HAVING countIf({complete} IS NOT NULL) > 0 ORDER BY 1, 2 \
             SETTINGS optimize_move_to_prewhere = 0",
            day = schema.day_number(),
            source = schema.source,
            ids = literals(patches.partitions.iter().map(|partition| &partition.id)),
        );
        let days: Vec<(String, u32, u64)> = self
            .server
            .all("read the days of patch parts", &sql)
            .await?;
        for (id, day, left) in days {
            // What is no day is judged by nobody, so its rows are never complete.
            let (Ok(day), Some(partition)) = (
                Day::new(day),
                patches
                    .partitions
                    .iter_mut()
                    .find(|partition| partition.id == id),
            ) else {
                continue;
            };
            partition.days.push(PatchedDay { day, left });
        }
        Ok(patches)
    }

    /// Uncompressed bytes of patch parts beyond which the server refuses every UPDATE of the table; 0: it has no limit.
    /// The table's own text says it, or else the server's default for tables of its kind.
    pub async fn patch_limit(&self) -> Result<u64, StoreError> {
        let what = "read the limit of patch parts";
        let sql = format!(
            "SELECT engine, create_table_query FROM system.tables WHERE {}",
            self.schema.about("name")
        );
        let table: Option<(String, String)> = self.server.first(what, &sql).await?;
        let (engine, text) = table.unwrap_or_default();
        if let Some(own) = own_limit(&text) {
            return Ok(own);
        }
        let default = async |defaults: &str| {
            let sql = format!("SELECT value FROM system.{defaults} WHERE name = '{PATCH_LIMIT}'");
            let limit: Option<String> = self.server.first(what, &sql).await?;
            let limit = limit.and_then(|limit| limit.parse().ok());
            Ok::<u64, StoreError>(limit.unwrap_or(0))
        };
        if engine.starts_with("Replicated") {
            // Our accounts are not granted these by `migrate --grants`, which asks no server what the table is.
            match default("replicated_merge_tree_settings").await {
                Err(error) if error.class() == Class::Refused => {}
                answered => return answered,
            }
        }
        default("merge_tree_settings").await
    }

    /// Asks the server to apply the patches of these partitions, without waiting for it. As one statement, since each
    /// looks at every part of the table. See the module for what must not happen meanwhile.
    pub async fn apply_patches(&self, partitions: &[String]) -> Result<(), StoreError> {
        for some in partitions.chunks(MOST_PARTITIONS) {
            self.server
                .execute("apply patches", &apply_sql(&self.schema.source, some))
                .await?;
        }
        Ok(())
    }

    /// Patches that are being applied, whoever asked for it; `None` when there are none.
    pub async fn applying(&self) -> Result<Option<Applying>, StoreError> {
        let sql = format!(
            "SELECT toUInt64(max(parts_to_do)) AS parts_left, \
             toUInt64(greatest(0, toInt64(now()) - toInt64(min(create_time)))) AS seconds, \
             CAST(anyLast(latest_fail_reason) AS String) AS failed \
             FROM system.mutations WHERE {} HAVING count() > 0",
            self.unfinished()
        );
        self.server
            .first("look how patches are applied", &sql)
            .await
    }

    /// Stops applying patches. What was applied stays; the rest is as it was.
    pub async fn stop_applying(&self) -> Result<(), StoreError> {
        let sql = format!("KILL MUTATION WHERE {} SYNC", self.unfinished());
        self.server.execute("stop applying patches", &sql).await
    }

    fn unfinished(&self) -> String {
        format!(
            "{} AND NOT is_done AND command LIKE '%APPLY PATCHES%'",
            self.schema.about("table")
        )
    }

    /// UPDATEs of the table that the server is working on, those of clients that have hung up included.
    pub async fn updates_under_way(&self) -> Result<u64, StoreError> {
        // Spelt as the write-backs spell it; a plant's own UPDATE may spell the table's name otherwise, so any UPDATE
        // counts.
        let sql = "SELECT count() FROM system.processes WHERE query_kind = 'Update'";
        self.server.one("look for updates", sql).await
    }
}

/// What a table's own text says of [`PATCH_LIMIT`]: a number, or a text with a suffix, such as `'2Gi'`.
fn own_limit(create_table_query: &str) -> Option<u64> {
    let (_, behind) = create_table_query.rsplit_once(&format!("{PATCH_LIMIT} = "))?;
    let behind = behind.trim_start_matches('\'');
    let letters = |text: &str| text.find(|c: char| !c.is_ascii_alphanumeric());
    let value = &behind[..letters(behind).unwrap_or(behind.len())];
    let (number, suffix) = value.split_at(value.trim_end_matches(char::is_alphabetic).len());
    let unit = match suffix.strip_suffix('i') {
        Some(_) => 1024_u64,
        None => 1000,
    };
    let power = "KMGTP".find(suffix.trim_end_matches('i'))? + usize::from(!suffix.is_empty());
    let number: u64 = number.parse().ok()?;
    number.checked_mul(unit.checked_pow(power as u32)?)
}

fn apply_sql(source: &str, partitions: &[String]) -> String {
    let commands = partitions
        .iter()
        .map(|id| format!("APPLY PATCHES IN PARTITION ID {}", literal(id)));
    // The statement only asks: a client that waits for the end would learn of a failure late, and of nothing when it is
    // cut off.
    format!(
        "ALTER TABLE {source} {} SETTINGS mutations_sync = 0, alter_sync = 0",
        commas(commands)
    )
}

/// The table setting that chooses the format of patch parts, where the server has a choice: the older one takes a fifth
/// of the disk for UPDATEs of ranges, and a quarter of the time to count what is left.
pub(crate) const PATCH_FORMAT: (&str, &str) = ("patch_parts_version", "v1");

/// Whether the server knows [`PATCH_FORMAT`].
pub(crate) async fn has_patch_formats(server: &Server) -> Result<bool, StoreError> {
    let sql = format!(
        "SELECT count() FROM system.merge_tree_settings WHERE name = {}",
        literal(PATCH_FORMAT.0)
    );
    let known: u64 = server.one("read system.merge_tree_settings", &sql).await?;
    Ok(known > 0)
}

/// `name = 'value'` of [`PATCH_FORMAT`].
pub(crate) fn patch_format() -> String {
    format!("{} = {}", PATCH_FORMAT.0, literal(PATCH_FORMAT.1))
}

/// What turns [`PATCH_FORMAT`] on for an existing table, if its own text does not say so already.
pub(crate) fn set_patch_format(source: &str, create_table_query: &str) -> Option<String> {
    (!create_table_query.contains(&patch_format()))
        .then(|| format!("ALTER TABLE {source} MODIFY SETTING {}", patch_format()))
}

/// Adds [`PATCH_FORMAT`] to a `CREATE TABLE` that ends in its settings.
pub(crate) fn with_patch_format(create: &str) -> String {
    format!("{create}, {}", patch_format())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_are_named_by_id_in_one_statement() {
        let sql = apply_sql("`w`.`s`", &["20261120".to_owned(), "a'b".to_owned()]);
        assert_eq!(
            sql,
            "ALTER TABLE `w`.`s` APPLY PATCHES IN PARTITION ID '20261120', APPLY PATCHES IN PARTITION ID 'a\\'b' \
             SETTINGS mutations_sync = 0, alter_sync = 0"
        );
    }

    #[test]
    fn a_table_s_own_limit_of_patches_is_read_as_the_server_reads_it() {
        let of = |value: &str| {
            own_limit(&format!(
                "CREATE TABLE w.t (a UInt8) ENGINE = MergeTree ORDER BY a SETTINGS index_granularity = 8192, \
                 max_uncompressed_bytes_in_patches = {value}, patch_parts_version = 'v1'"
            ))
        };
        assert_eq!(of("1000"), Some(1000));
        assert_eq!(of("0"), Some(0), "no limit");
        assert_eq!(of("'2Gi'"), Some(2 << 30));
        assert_eq!(of("'5M'"), Some(5_000_000));
        assert_eq!(of("'x'"), None);
        assert_eq!(
            own_limit("CREATE TABLE w.t (a UInt8) ENGINE = MergeTree ORDER BY a"),
            None
        );
    }

    #[test]
    fn the_format_of_patches_is_chosen_once() {
        let create = "CREATE TABLE s (a UInt8) ENGINE = MergeTree ORDER BY a SETTINGS index_granularity = 1024";
        let made = with_patch_format(create);
        assert_eq!(made, format!("{create}, patch_parts_version = 'v1'"));
        assert_eq!(set_patch_format("`w`.`s`", &made), None);
        for (older, why) in [
            (create.to_owned(), "not set"),
            (made.replace("'v1'", "'v2'"), "set otherwise"),
        ] {
            assert_eq!(
                set_patch_format("`w`.`s`", &older).as_deref(),
                Some("ALTER TABLE `w`.`s` MODIFY SETTING patch_parts_version = 'v1'"),
                "{why}"
            );
        }
    }

    #[test]
    fn half_of_the_limit_is_much() {
        let of = |bytes, limit| Patches {
            parts: 1,
            bytes,
            limit,
            partitions: Vec::new(),
        };
        assert!(!of(49, 100).are_many() && of(50, 100).are_many());
        assert!(!of(50, 0).are_many(), "no limit");
    }
}
