//! Values of a column that holds numbers in one plant and texts in another.

use bytemuck::Pod;

use super::{ChunkSource, Reader, Texts};
use crate::errors::StoreError;

#[derive(Debug, Clone)]
pub(crate) enum Values<N> {
    Numbers(Vec<N>),
    Texts(Texts),
}

impl<N: Pod> Values<N> {
    /// None yet.
    pub(crate) fn empty(are_texts: bool) -> Self {
        match are_texts {
            true => Self::Texts(Texts::default()),
            false => Self::Numbers(Vec::new()),
        }
    }

    pub(crate) fn clear(&mut self) {
        match self {
            Self::Numbers(numbers) => numbers.clear(),
            Self::Texts(texts) => *texts = Texts::default(),
        }
    }

    /// Reads those of a block behind those that are there; numbers are of this type.
    pub(crate) async fn read<S: ChunkSource>(
        &mut self,
        reader: &mut Reader<S>,
        number: &str,
        rows: usize,
    ) -> Result<(), StoreError> {
        match self {
            Self::Numbers(numbers) => {
                reader.column(number).await?;
                reader.numbers(rows, numbers).await
            }
            Self::Texts(texts) => {
                reader.column("String").await?;
                reader.texts(rows, texts).await
            }
        }
    }
}
