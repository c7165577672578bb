//! Reading a block, column by column, from pieces as they come.

use bytemuck::Pod;
use bytes::{Buf, Bytes};

use super::{ChunkSource, Texts};
use crate::errors::StoreError;

/// Values that are moved at once where they arrive misaligned.
const PLACE: usize = 512;

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

    /// Takes texts that lie whole in the piece at hand, at most so many; how many.
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
