//! Writing a block, column by column.

use bytemuck::Pod;

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

pub(super) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

pub(super) fn put_text(out: &mut Vec<u8>, text: &[u8]) {
    put_varint(out, text.len() as u64);
    out.extend_from_slice(text);
}
