//! MySQL: the projection for the people who act on NOK welds. Works with MySQL 8 and MariaDB.
//!
//! - `server`: connections, their session settings, time limits; `quote`: names in SQL;
//! - `existing_table`: the result table as it is; `own_table`: as the fleet makes it; `migrate`: made or completed;
//!   `application`: one that an application reads already; `checks`: whether it can be worked with;
//! - [`survey`]: the columns of a table that no settings describe yet;
//! - `layout_sql`: what the mirror holds, as SQL;
//! - `table`: reading and writing rows of the result table, in batches; `row`: what a row is in a statement;
//! - `twins`: records that are there twice, where the unique key was lost;
//! - `reviews`: what people say of its rows;
//! - `mirror`: the table made equal to what is committed in ClickHouse; `refusals`: what MySQL does not take of it.

mod application;
mod checks;
mod existing_table;
mod layout_sql;
pub(crate) mod migrate;
mod mirror;
mod own_table;
pub(crate) mod quote;
mod refusals;
mod reviews;
mod row;
pub(crate) mod server;
pub mod survey;
mod table;
mod twins;

pub use mirror::{CommittedRange, DayBehind, Mirror, MirrorChange, MirrorLag, MirrorTotals};
pub use refusals::Refusals;
pub use reviews::{Review, Reviewed, WeldKey};
pub use table::NokTable;
pub use twins::remove_twins;
