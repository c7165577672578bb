//! Records that are there twice: the unique key keeps them out, and a table that was restored without it does not.

use weldfleet_settings::{
    Settings,
    columns::{MIRROR_KEY, REVIEW_COLUMNS},
};

use super::quote::identifier;

/// What removes the records of the fleet's own table that are there twice, one statement each. Of those that people
/// have reviewed all stay, or else one.
pub fn remove_twins(settings: &Settings) -> [String; 3] {
    let table = identifier(&settings.tables.result_table);
    let reviewed = |of: &str| {
        let written = REVIEW_COLUMNS.map(|column| format!("{of}.{column} IS NOT NULL"));
        format!("({})", written.join(" OR "))
    };
    [
        format!(
            "ALTER TABLE {table} ADD COLUMN weldfleet_twin BIGINT UNSIGNED NOT NULL AUTO_INCREMENT UNIQUE, \
             ADD KEY weldfleet_twins (data_date, ck_ticks)"
        ),
        format!(
            "DELETE twin FROM {table} AS twin JOIN {table} AS other USING ({}) WHERE NOT {} \
             AND twin.weldfleet_twin <> other.weldfleet_twin \
             AND ({} OR other.weldfleet_twin < twin.weldfleet_twin)",
            MIRROR_KEY.join(", "),
            reviewed("twin"),
            reviewed("other"),
        ),
        format!("ALTER TABLE {table} DROP COLUMN weldfleet_twin, DROP KEY weldfleet_twins"),
    ]
}
