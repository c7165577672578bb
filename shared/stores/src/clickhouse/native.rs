//! ClickHouse's `Native` format, by column: only the types that our own statements ask for.
//!
//! A block is: columns and rows as varints, then for each column its name, its type and its values.
//! Numbers are little-endian and dense, so that a column of them is one copy from the socket's
//! buffer into its place; an array is its end offsets (`UInt64`), then its values; a string is its
//! length and its bytes.

mod reader;
#[cfg(test)]
mod tests;
mod texts;
mod values;
mod writer;

use bytes::Bytes;

pub use reader::Reader;
pub use texts::Texts;
pub(crate) use values::Values;
pub use writer::Writer;

use crate::errors::StoreError;

#[cfg(target_endian = "big")]
compile_error!("the Native format is read into memory as it is: little-endian machines only");

/// Where the bytes come from, piece by piece.
pub trait ChunkSource {
    /// The next piece, `None` at the end.
    fn next(&mut self) -> impl Future<Output = Result<Option<Bytes>, StoreError>> + Send;
}
