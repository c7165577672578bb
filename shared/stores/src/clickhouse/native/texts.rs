//! Texts of a column.

/// Texts of a column, end to end.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Texts {
    bytes: Vec<u8>,
    pub(super) ends: Vec<u32>,
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
        if self.is_valid() {
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

    /// Whether all are UTF-8: together, and none ends within a letter.
    fn is_valid(&self) -> bool {
        std::str::from_utf8(&self.bytes).is_ok_and(|all| {
            self.ends
                .iter()
                .all(|end| all.is_char_boundary(*end as usize))
        })
    }
}
