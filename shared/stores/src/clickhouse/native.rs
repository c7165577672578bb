//! ClickHouse's `Native` format, by column: only the types that our own statements ask for.
//!
//! A block is: columns and rows as varints, then for each column its name, its type and its values.
//! Numbers are little-endian and dense, so that a column of them is one copy from the socket's
//! buffer into its place; an array is its end offsets (`UInt64`), then its values; a string is its
//! length and its bytes.

use bytemuck::Pod;
use bytes::{Buf, Bytes};

use crate::errors::StoreError;

#[cfg(target_endian = "big")]
compile_error!("the Native format is read into memory as it is: little-endian machines only");

/// Values that are moved at once where they arrive misaligned.
const PLACE: usize = 512;

/// Where the bytes come from, piece by piece.
pub trait ChunkSource {
    /// The next piece, `None` at the end.
    fn next(&mut self) -> impl Future<Output = Result<Option<Bytes>, StoreError>> + Send;
}

/// Texts of a column, end to end.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Texts {
    bytes: Vec<u8>,
    ends: Vec<u32>,
}

impl Texts {
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Bytes of one text.
    pub fn bytes(&self, row: usize) -> &[u8] {
        let start = row
            .checked_sub(1)
            .map_or(0, |before| self.ends[before] as usize);
        &self.bytes[start..self.ends[row] as usize]
    }

    /// One text; empty where it is not UTF-8, which [`Texts::repair`] has ruled out.
    pub fn get(&self, row: usize) -> &str {
        std::str::from_utf8(self.bytes(row)).unwrap_or_default()
    }

    /// Appends one text; false where all of them would take more than 4 GiB.
    pub fn push(&mut self, text: &[u8]) -> bool {
        let Ok(end) = u32::try_from(self.bytes.len() + text.len()) else {
            return false;
        };
        self.bytes.extend_from_slice(text);
        self.ends.push(end);
        true
    }

    /// The first text that is not UTF-8.
    pub fn first_invalid(&self) -> Option<usize> {
        if std::str::from_utf8(&self.bytes).is_ok() && self.ends_on_letters() {
            return None;
        }
        (0..self.len()).find(|row| std::str::from_utf8(self.bytes(*row)).is_err())
    }

    /// Replaces what is not UTF-8 by U+FFFD.
    pub fn repair(&mut self) {
        if self.first_invalid().is_some() {
            let mut repaired = Self::default();
            for row in 0..self.len() {
                repaired.push(String::from_utf8_lossy(self.bytes(row)).as_bytes());
            }
            *self = repaired;
        }
    }

    fn ends_on_letters(&self) -> bool {
        std::str::from_utf8(&self.bytes).is_ok_and(|all| {
            self.ends
                .iter()
                .all(|end| all.is_char_boundary(*end as usize))
        })
    }
}

/// Reads blocks column by column.
pub struct Reader<S> {
    source: S,
    chunk: Bytes,
    what: &'static str,
}

impl<S: ChunkSource> Reader<S> {
    /// A reader that names its work in errors.
    pub fn new(source: S, what: &'static str) -> Self {
        Self {
            source,
            chunk: Bytes::new(),
            what,
        }
    }

    /// Starts the next block that has rows; `None` at the end. `columns` must be its number of columns.
    pub async fn block(&mut self, columns: usize) -> Result<Option<usize>, StoreError> {
        loop {
            if self.chunk.is_empty() && !self.refill().await? {
                return Ok(None);
            }
            let found = self.varint().await? as usize;
            let rows = self.varint().await? as usize;
            if found == 0 && rows == 0 {
                continue;
            }
            if found != columns {
                return Err(self.wrong(format!("{found} columns, expected {columns}")));
            }
            if rows > 0 {
                return Ok(Some(rows));
            }
            for _ in 0..found {
                self.skip_text().await?;
                self.skip_text().await?;
            }
        }
    }

    /// Starts the next column, which must have a type that starts like this.
    pub async fn column(&mut self, type_name: &str) -> Result<(), StoreError> {
        let name = self.text().await?;
        let found = self.text().await?;
        if found.starts_with(type_name) {
            Ok(())
        } else {
            Err(self.wrong(format!("column `{name}` is {found}, expected {type_name}")))
        }
    }

    /// Appends `count` fixed-size values.
    pub async fn numbers<T: Pod>(
        &mut self,
        count: usize,
        into: &mut Vec<T>,
    ) -> Result<(), StoreError> {
        into.reserve(count);
        self.pieces(count, |values: &[T]| into.extend_from_slice(values))
            .await
    }

    /// Appends `count` fixed-size values as `f32`.
    pub async fn widened<T: Pod>(
        &mut self,
        count: usize,
        into: &mut Vec<f32>,
        widen: impl Fn(T) -> f32,
    ) -> Result<(), StoreError> {
        into.reserve(count);
        self.pieces(count, |values: &[T]| {
            into.extend(values.iter().map(|value| widen(*value)));
        })
        .await
    }

    /// Takes `count` fixed-size values as they come.
    async fn pieces<T: Pod>(
        &mut self,
        count: usize,
        mut take: impl FnMut(&[T]),
    ) -> Result<(), StoreError> {
        let mut left = count;
        while left > 0 {
            if self.chunk.is_empty() && !self.refill().await? {
                return Err(self.cut());
            }
            let whole = left.min(self.chunk.len() / size_of::<T>());
            if whole == 0 {
                // A value that lies across two pieces.
                let mut value = T::zeroed();
                self.fill(bytemuck::bytes_of_mut(&mut value)).await?;
                take(&[value]);
                left -= 1;
                continue;
            }
            let bytes = self.chunk.split_to(whole * size_of::<T>());
            match bytemuck::try_cast_slice(&bytes) {
                Ok(values) => take(values),
                // Not where values of this type may lie: by way of a place where they may, which stays in the core's
                // cache.
                Err(_) => {
                    let mut place = [T::zeroed(); PLACE];
                    for bytes in bytes.chunks(PLACE * size_of::<T>()) {
                        let values = &mut place[..bytes.len() / size_of::<T>()];
                        bytemuck::cast_slice_mut(values).copy_from_slice(bytes);
                        take(values);
                    }
                }
            }
            left -= whole;
        }
        Ok(())
    }

    /// Appends `count` texts.
    pub async fn texts(&mut self, count: usize, into: &mut Texts) -> Result<(), StoreError> {
        into.ends.reserve(count);
        let mut fits = true;
        self.each_text(count, |text| fits &= into.push(text))
            .await?;
        if !fits {
            return Err(self.wrong("more than 4 GiB of text in one column".into()));
        }
        Ok(())
    }

    /// Takes `count` texts as they come: where they lie, if they lie in one piece, so that none is copied but for that.
    pub async fn each_text(
        &mut self,
        count: usize,
        mut take: impl FnMut(&[u8]),
    ) -> Result<(), StoreError> {
        let mut apart = Vec::new();
        let mut left = count;
        while left > 0 {
            left -= self.texts_at_hand(left, &mut take);
            if left > 0 {
                let length = self.varint().await? as usize;
                apart.clear();
                self.append(length, &mut apart).await?;
                take(&apart);
                left -= 1;
            }
        }
        Ok(())
    }

    /// Takes texts that lie whole in the piece at hand, at most so many; how many. An array of texts has one a sample,
    /// and waiting for each would cost more than reading it.
    fn texts_at_hand(&mut self, most: usize, take: &mut impl FnMut(&[u8])) -> usize {
        let chunk: &[u8] = &self.chunk;
        let (mut at, mut read) = (0, 0);
        while read < most {
            let Some((length, start)) = length_at(chunk, at) else {
                break;
            };
            let Some(text) = start
                .checked_add(length)
                .and_then(|end| chunk.get(start..end))
            else {
                break;
            };
            take(text);
            (at, read) = (start + length, read + 1);
        }
        self.chunk.advance(at);
        read
    }

    /// Appends what `read` makes of texts of at most eight bytes, as long as it can and they lie whole in the piece at
    /// hand, at most so many. It gets the text's bytes at the front of a word, and how many they are.
    pub fn short_texts(
        &mut self,
        most: usize,
        read: impl Fn(u64, usize) -> Option<f32>,
        into: &mut Vec<f32>,
    ) {
        let chunk: &[u8] = &self.chunk;
        let mut at = 0;
        for _ in 0..most {
            let Some([length, text @ ..]) = chunk.get(at..).and_then(<[u8]>::first_chunk::<9>)
            else {
                break;
            };
            let length = usize::from(*length);
            if length > text.len() {
                break;
            }
            let Some(number) = read(u64::from_le_bytes(*text), length) else {
                break;
            };
            into.push(number);
            at += 1 + length;
        }
        self.chunk.advance(at);
    }

    /// Appends where each of `count` arrays ends, counted on from `base`; how many values are to come.
    pub async fn array_ends(
        &mut self,
        count: usize,
        base: u64,
        ends: &mut Vec<u64>,
    ) -> Result<usize, StoreError> {
        let first = ends.len();
        self.numbers(count, ends).await?;
        let mut last = 0;
        for end in &mut ends[first..] {
            if *end < last {
                return Err(self.wrong("array offsets that fall".into()));
            }
            last = *end;
            *end += base;
        }
        Ok(last as usize)
    }

    async fn fill(&mut self, mut wanted: &mut [u8]) -> Result<(), StoreError> {
        while !wanted.is_empty() {
            if self.chunk.is_empty() && !self.refill().await? {
                return Err(self.cut());
            }
            let here = wanted.len().min(self.chunk.len());
            self.chunk.copy_to_slice(&mut wanted[..here]);
            wanted = &mut wanted[here..];
        }
        Ok(())
    }

    async fn append(&mut self, length: usize, into: &mut Vec<u8>) -> Result<(), StoreError> {
        let mut left = length;
        loop {
            let here = left.min(self.chunk.len());
            into.extend_from_slice(&self.chunk[..here]);
            self.chunk.advance(here);
            left -= here;
            if left == 0 {
                return Ok(());
            }
            if !self.refill().await? {
                return Err(self.cut());
            }
        }
    }

    async fn text(&mut self) -> Result<String, StoreError> {
        let length = self.varint().await? as usize;
        let mut bytes = Vec::new();
        self.append(length, &mut bytes).await?;
        String::from_utf8(bytes).map_err(|_| self.wrong("a name that is not utf-8".into()))
    }

    async fn skip_text(&mut self) -> Result<(), StoreError> {
        self.text().await.map(|_| ())
    }

    async fn varint(&mut self) -> Result<u64, StoreError> {
        let mut value = 0_u64;
        for place in 0..10 {
            if self.chunk.is_empty() && !self.refill().await? {
                return Err(self.cut());
            }
            let byte = self.chunk.get_u8();
            value |= u64::from(byte & 0x7f) << (7 * place);
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(self.wrong("a varint of more than ten bytes".into()))
    }

    async fn refill(&mut self) -> Result<bool, StoreError> {
        while let Some(chunk) = self.source.next().await? {
            if !chunk.is_empty() {
                self.chunk = chunk;
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn wrong(&self, why: String) -> StoreError {
        StoreError::answer(self.what, why)
    }

    fn cut(&self) -> StoreError {
        // The server or the network went away in the middle of an answer.
        StoreError::clickhouse(self.what, clickhouse::error::Error::NotEnoughData)
    }
}

/// The length of the text that begins here and where its bytes do; `None` unless both are plain: longer lengths than
/// four bytes of varint and those that are cut are for [`Reader::varint`].
fn length_at(chunk: &[u8], at: usize) -> Option<(usize, usize)> {
    let mut length = 0;
    for (place, byte) in chunk.get(at..)?.iter().take(4).enumerate() {
        length |= usize::from(byte & 0x7f) << (7 * place);
        if byte & 0x80 == 0 {
            return Some((length, at + place + 1));
        }
    }
    None
}

/// Writes one block, column by column.
pub struct Writer {
    out: Vec<u8>,
    rows: usize,
}

impl Writer {
    /// A block of so many columns and rows.
    pub fn new(columns: usize, rows: usize, capacity: usize) -> Self {
        let mut out = Vec::with_capacity(capacity);
        put_varint(&mut out, columns as u64);
        put_varint(&mut out, rows as u64);
        Self { out, rows }
    }

    /// Rows of the block.
    pub fn rows(&self) -> usize {
        self.rows
    }

    fn column(&mut self, name: &str, type_name: &str) {
        put_text(&mut self.out, name.as_bytes());
        put_text(&mut self.out, type_name.as_bytes());
    }

    /// A column of fixed-size values, one a row.
    pub fn numbers<T: Pod>(&mut self, name: &str, type_name: &str, values: &[T]) {
        debug_assert_eq!(values.len(), self.rows);
        self.column(name, type_name);
        self.out.extend_from_slice(bytemuck::cast_slice(values));
    }

    /// A column of fixed-size values computed one by one.
    pub fn numbers_from<T: Pod>(
        &mut self,
        name: &str,
        type_name: &str,
        values: impl Iterator<Item = T>,
    ) {
        self.column(name, type_name);
        let before = self.out.len();
        for value in values {
            self.out.extend_from_slice(bytemuck::bytes_of(&value));
        }
        debug_assert_eq!(self.out.len() - before, self.rows * size_of::<T>());
    }

    /// A column of one value repeated.
    pub fn repeated<T: Pod>(&mut self, name: &str, type_name: &str, value: T) {
        self.numbers_from(name, type_name, std::iter::repeat_n(value, self.rows));
    }

    /// A column of texts, one a row.
    pub fn texts<T: AsRef<str>>(&mut self, name: &str, values: impl Iterator<Item = T>) {
        self.column(name, "String");
        let mut count = 0;
        for value in values {
            put_text(&mut self.out, value.as_ref().as_bytes());
            count += 1;
        }
        debug_assert_eq!(count, self.rows);
    }

    /// A column of texts or NULL, one a row.
    pub fn nullable_texts(&mut self, name: &str, values: &[Option<&str>]) {
        debug_assert_eq!(values.len(), self.rows);
        self.column(name, "Nullable(String)");
        self.out
            .extend(values.iter().map(|value| u8::from(value.is_none())));
        for value in values {
            put_text(&mut self.out, value.unwrap_or_default().as_bytes());
        }
    }

    /// A column of arrays of texts: ends of each row's texts, then the texts.
    pub fn text_arrays(&mut self, name: &str, ends: &[u64], values: &[String]) {
        debug_assert_eq!(ends.len(), self.rows);
        self.column(name, "Array(String)");
        self.out.extend_from_slice(bytemuck::cast_slice(ends));
        for value in values {
            put_text(&mut self.out, value.as_bytes());
        }
    }

    /// A column of arrays: ends of each row's values, then the values.
    pub fn arrays<T: Pod>(&mut self, name: &str, type_name: &str, ends: &[u64], values: &[T]) {
        debug_assert_eq!(ends.len(), self.rows);
        debug_assert_eq!(
            ends.last().copied().unwrap_or_default(),
            values.len() as u64
        );
        self.column(name, type_name);
        self.out.extend_from_slice(bytemuck::cast_slice(ends));
        self.out.extend_from_slice(bytemuck::cast_slice(values));
    }

    /// The block's bytes.
    pub fn finish(self) -> Vec<u8> {
        self.out
    }
}

fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn put_text(out: &mut Vec<u8>, text: &[u8]) {
    put_varint(out, text.len() as u64);
    out.extend_from_slice(text);
}

#[cfg(test)]
mod tests;
