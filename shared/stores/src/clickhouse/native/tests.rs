//! What is written is what is read, however the bytes are cut on their way; cut short is an error.

use std::collections::VecDeque;

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::errors::Class;

struct Pieces(VecDeque<Bytes>);

impl ChunkSource for Pieces {
    async fn next(&mut self) -> Result<Option<Bytes>, StoreError> {
        Ok(self.0.pop_front())
    }
}

fn reader(bytes: &[u8], cuts: &[usize]) -> Reader<Pieces> {
    let mut pieces = VecDeque::new();
    let mut rest = bytes;
    for cut in cuts {
        let (piece, behind) = rest.split_at(cut % (rest.len() + 1));
        pieces.push_back(Bytes::copy_from_slice(piece));
        rest = behind;
    }
    pieces.push_back(Bytes::copy_from_slice(rest));
    Reader::new(Pieces(pieces), "test")
}

#[derive(Debug, Clone, PartialEq, Default)]
struct Rows {
    hashes: Vec<u64>,
    seconds: Vec<u32>,
    texts: Vec<String>,
    curves: Vec<Vec<f32>>,
}

fn rows() -> impl Strategy<Value = Rows> {
    let row = (
        any::<u64>(),
        any::<u32>(),
        "\\PC{0,200}",
        prop::collection::vec(-1e9_f32..1e9, 0..40),
    );
    prop::collection::vec(row, 0..20).prop_map(|rows| {
        rows.into_iter().fold(Rows::default(), |mut all, row| {
            all.hashes.push(row.0);
            all.seconds.push(row.1);
            all.texts.push(row.2);
            all.curves.push(row.3);
            all
        })
    })
}

fn write(rows: &Rows) -> Vec<u8> {
    let count = rows.hashes.len();
    let mut out = Writer::new(4, count, 0);
    out.numbers("h", "UInt64", &rows.hashes);
    out.numbers_from("焊", "DateTime", rows.seconds.iter().copied());
    out.texts("text", rows.texts.iter().map(String::as_str));
    let ends: Vec<u64> = rows
        .curves
        .iter()
        .scan(0, |end, curve| {
            *end += curve.len() as u64;
            Some(*end)
        })
        .collect();
    out.arrays("curve", "Array(Float32)", &ends, &rows.curves.concat());
    out.finish()
}

async fn read(reader: &mut Reader<Pieces>) -> Result<Rows, StoreError> {
    let mut texts = Texts::default();
    let (mut ends, mut values): (Vec<u64>, Vec<f32>) = (Vec::new(), Vec::new());
    let mut all = Rows::default();
    while let Some(count) = reader.block(4).await? {
        reader.column("UInt64").await?;
        reader.numbers(count, &mut all.hashes).await?;
        reader.column("DateTime").await?;
        reader.numbers(count, &mut all.seconds).await?;
        reader.column("String").await?;
        reader.texts(count, &mut texts).await?;
        reader.column("Array(Float32)").await?;
        let base = values.len() as u64;
        let samples = reader.array_ends(count, base, &mut ends).await?;
        reader.numbers(samples, &mut values).await?;
    }
    for row in 0..texts.len() {
        all.texts.push(texts.get(row).to_owned());
        let start = row.checked_sub(1).map_or(0, |before| ends[before] as usize);
        all.curves.push(values[start..ends[row] as usize].to_vec());
    }
    Ok(all)
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap()
        .block_on(work)
}

proptest! {
    #[test]
    fn blocks_come_through_whatever_the_pieces(
        first in rows(), second in rows(), cuts in prop::collection::vec(0_usize..300, 0..60)
    ) {
        let bytes = [write(&first), write(&second)].concat();
        let found = block_on(read(&mut reader(&bytes, &cuts))).unwrap();
        let both = Rows {
            hashes: [first.hashes, second.hashes].concat(),
            seconds: [first.seconds, second.seconds].concat(),
            texts: [first.texts, second.texts].concat(),
            curves: [first.curves, second.curves].concat(),
        };
        prop_assert_eq!(found, both);
    }

    #[test]
    fn an_answer_that_is_cut_short_is_an_outage_and_never_rows(
        rows in rows().prop_filter("rows", |rows| !rows.hashes.is_empty()), at in any::<prop::sample::Index>()
    ) {
        let bytes = write(&rows);
        let short = &bytes[..1 + at.index(bytes.len() - 1)];
        let error = block_on(read(&mut reader(short, &[]))).unwrap_err();
        prop_assert_eq!(error.class(), Class::Outage);
    }
}

#[test]
fn another_shape_than_asked_for_is_refused() {
    let bytes = write(&Rows {
        hashes: vec![1],
        seconds: vec![2],
        texts: vec!["a".into()],
        curves: vec![vec![]],
    });
    let error = block_on(reader(&bytes, &[]).block(3)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "test: unexpected answer: 4 columns, expected 3"
    );
    let mut whole = reader(&bytes, &[]);
    let error = block_on(async {
        whole.block(4).await?;
        whole.column("Float32").await
    })
    .unwrap_err();
    assert_eq!(
        error.to_string(),
        "test: unexpected answer: column `h` is UInt64, expected Float32"
    );
}

#[test]
fn texts_that_are_not_utf8_are_found_and_repaired() {
    let mut texts = Texts::default();
    texts.push("ä".as_bytes());
    // Two halves of one letter: the whole column is UTF-8, neither text is.
    texts.push(&[0xc3]);
    texts.push(&[0xa4]);
    assert_eq!(texts.first_invalid(), Some(1));
    texts.repair();
    assert_eq!(
        (0..3).map(|row| texts.get(row)).collect::<Vec<_>>(),
        ["ä", "\u{fffd}", "\u{fffd}"]
    );
    assert_eq!(texts.first_invalid(), None);
}
