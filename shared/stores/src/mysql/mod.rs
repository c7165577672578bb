//! MySQL: the projection for the people who act on NOK welds. Works with MySQL 8 and MariaDB.
//!
//! - `server`: connections, their session settings, time limits; `quote`: names in SQL;
//! - `existing_table`: the result table as it is; `own_columns`: as the fleet makes it; `migrate`: made or completed;
//!   `application`: one that an application reads already;
//! - [`survey`]: the columns of a table that no settings describe yet;
//! - `table`: reading and writing rows of the result table, in batches;
//! - `reviews`: what people say of its rows;
//! - `mirror`: the table made equal to what is committed in ClickHouse.

mod application;
mod existing_table;
pub(crate) mod migrate;
mod mirror;
mod own_columns;
pub(crate) mod quote;
mod reviews;
pub(crate) mod server;
pub mod survey;
mod table;

pub use mirror::{CommittedRange, Mirror, MirrorChange, MirrorLag};
pub use reviews::{Review, Reviewed, WeldKey};
pub use table::NokTable;
