//! ClickHouse: the truth.
//!
//! - `server`: connection and time limits; `pinned`: settings of every request; `server_version`: which server it is;
//! - [`native`]: the `Native` format, by column, reader and writer;
//! - `schema`: the plant's table as it is, our names to theirs; `column_type`: their types;
//! - `quote`: the only place where names and values become SQL text; `sql`: where rows are read,
//!   bounds and guards on them;
//! - `migrate`: what is missing here, and adding it;
//! - `slices`: unprocessed keys, midpoints; `counts`: of rows;
//! - `fetch`: a range's rows; `arrived`: as they come; `block`: in order, each weld once; in one arena, whose memory
//!   (`arena`) is used again;
//! - `results`: an attempt's results, and their commit to the rows;
//! - `runs`: backfill runs; `events`: who did what; `reports`, `quality`, `drift`, `scores`, `agreement`: questions that
//!   people ask;
//! - `versions`: what a sorting key tells of a row's versions;
//! - `disks`: room on the server;
//! - [`survey`]: a table that no settings describe yet;
//! - `identity`: what makes the table out among all others; `swapped`: whether another has taken its place;
//! - `settling`: patch parts, and applying them; `writers`: inserts that added columns would break;
//! - `inspection`: rows and grants that a person looks at; `keys`: whether keys identify welds;
//! - `empty_filter`: a filter that leaves the fleet nothing; `row_policy`: one that the server adds; `one_server`: an
//!   address that several servers answer at;
//! - `nok`: committed NOK rows and checksums, for the mirror; `mirrored_value`: as MySQL can hold them;
//! - `nok_list`: NOK welds of a day, for people;
//! - `streaks`: welds with hits, by spot;
//! - `probes`: whether the server does what a worker needs of it;
//! - `simulated`: fast columnar insert of made-up welds; `plant_table`: the same into a table of an older system's
//!   shape.

mod agreement;
pub(crate) mod arena;
pub(crate) mod arrived;
pub(crate) mod block;
mod column_type;
mod counts;
mod disks;
mod drift;
mod empty_filter;
mod events;
mod fetch;
mod identity;
mod inspection;
mod keys;
mod latest_days;
mod leading;
pub(crate) mod migrate;
mod mirrored_value;
pub mod native;
pub(crate) mod nok;
mod nok_list;
mod nok_shares;
mod one_server;
mod outcomes;
mod parts;
mod pinned;
mod plant_table;
mod probes;
mod quality;
pub(crate) mod quote;
mod reports;
mod results;
mod row_policy;
mod runs;
mod schema;
mod scores;
pub(crate) mod server;
mod server_version;
mod settling;
mod simulated;
mod slices;
mod sql;
mod stored;
mod streaks;
pub mod survey;
mod swapped;
mod verdict_words;
mod versions;
pub(crate) mod writers;

use std::{sync::Arc, time::Duration};

use crate::mirror_layout::MirrorColumn;

pub use agreement::{Disagreement, VerdictAgreement, Verdicts};
pub use block::RowBlock;
pub use column_type::ColumnType;
pub use counts::{DayCounts, LeftElsewhere};
pub use disks::Disk;
pub use drift::{FEWEST_VALUES, Shift, drifting};
pub use empty_filter::{EmptyFilter, empty_filter};
pub use events::{Event, EventKey, EventLine, Events};
pub use inspection::{CarriedWeld, CarriedWelds, PartRows, WeldById};
pub use keys::{RepeatedKeys, repeated_keys};
pub use latest_days::LatestDays;
pub use nok_list::{AttemptLine, BODY, Hours, NO_DEFECT, NokFilter, NokShare, NokWeld, Pareto};
pub use nok_shares::{LINE, LineShares, MOST_LINES};
pub use one_server::{SeveralServers, several_servers};
pub use outcomes::OutcomeCounts;
pub use parts::Parts;
pub use plant_table::{CurveForm, PlantRows, PlantTable};
pub use probes::Capability;
pub use quality::{Confusion, LeftOut, ModelRows, Quality};
pub use reports::Pace;
pub use results::{Attempt, EncodedResults};
pub use row_policy::RowPolicy;
pub use runs::{Change, NewRun, Order, Run, RunState, Runs};
pub use schema::{FurtherNames, IdType, Schema};
pub use scores::{Regression, Scores};
pub use server::Server;
pub use server_version::Version;
pub use settling::{Applying, PatchedDay, PatchedPartition, Patches};
pub use simulated::SimulatedRows;
pub use slices::{KeyBlock, KeyStream, Split};
pub use swapped::TableWatch;
pub use verdict_words::UnreadableText;

/// The plant's table of welds and the fleet's own tables beside it. Cheap to clone.
#[derive(Clone)]
pub struct SourceTable {
    pub(crate) server: Server,
    pub(crate) schema: Arc<Schema>,
    spare: arena::Spare,
    /// Most bytes of curves of a range.
    range_bytes: u64,
    /// What the mirror reads of its NOK rows.
    mirrored: Arc<[MirrorColumn]>,
}

impl SourceTable {
    pub fn schema(&self) -> &Schema {
        &self.schema
    }

    /// The server it is on.
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// The same table, its server waited for at most this long.
    pub fn with_patience(mut self, patience: Duration) -> Self {
        self.server = self.server.with_patience(patience);
        self
    }

    /// Whether it has this carried column.
    pub fn carries(&self, ours: &str) -> bool {
        self.schema
            .further()
            .carried
            .iter()
            .any(|name| name == ours)
    }

    /// The same table, for people who look: see [`Server::for_looking`].
    pub fn for_looking(mut self, longest: Option<Duration>) -> Self {
        self.server = self.server.for_looking(longest);
        self
    }
}
