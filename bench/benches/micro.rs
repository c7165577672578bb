//! A row's way through the CPU, step by step: decoding, conversion, rules, features, everything up to the tensor.
//! Times are of blocks of 128 rows of 600 samples, as a compute thread takes them; `thrpt` is rows a second.

#![allow(missing_docs, reason = "criterion's macros make public functions")]

use std::{hint::black_box, time::Duration};

use bytes::Bytes;
use criterion::{
    Criterion, Throughput, criterion_group, criterion_main,
    measurement::{Measurement, ValueFormatter, WallTime},
};
use nix::time::{ClockId, clock_gettime};
use weldfleet_simulator::{SimulatedBlock, SimulationOptions, Simulator};
use weldfleet_stores::{
    StoreError,
    clickhouse::native::{ChunkSource, Reader, Writer},
};
use weldfleet_testkit::repository;
use weldfleet_weld::{
    Weld,
    curves::Curves,
    features::{InferenceConfig, Resampling, write_row},
    judge::{Judge, ModelSet, Prepared, Workspace},
    rules::{RuleScratch, RuleSet, RulesFile},
    units::CurveUnits,
    validation::ValidationLimits,
};

const ROWS: u64 = 128;

/// CPU time of this thread: what others do on the machine's cores does not count.
struct CpuTime;

impl Measurement for CpuTime {
    type Intermediate = Duration;
    type Value = Duration;

    fn start(&self) -> Duration {
        clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID)
            .expect("clock")
            .into()
    }

    fn end(&self, began: Duration) -> Duration {
        self.start() - began
    }

    fn add(&self, a: &Duration, b: &Duration) -> Duration {
        *a + *b
    }

    fn zero(&self) -> Duration {
        Duration::ZERO
    }

    fn to_f64(&self, value: &Duration) -> f64 {
        WallTime.to_f64(value)
    }

    fn formatter(&self) -> &dyn ValueFormatter {
        WallTime.formatter()
    }
}

fn welds(block: &SimulatedBlock) -> Vec<Weld<'_>> {
    (0..block.rows()).map(|row| block.weld(row)).collect()
}

fn steps(criterion: &mut Criterion<CpuTime>) {
    let block = Simulator::new(SimulationOptions::new(20_260_101, ROWS, 3))
        .expect("options")
        .block(0..ROWS);
    let welds = welds(&block);
    let text = std::fs::read_to_string(repository().join("models/global/inference_config.json"))
        .expect("model");
    let config = InferenceConfig::from_json(&text).expect("config");
    let text = std::fs::read_to_string(repository().join("config/rules.toml")).expect("rules");
    let rules = RuleSet::new(&RulesFile::from_toml(&text).expect("rules"), 1.0);
    let (units, limits) = (CurveUnits::default(), ValidationLimits::default());
    let loaded: Vec<Curves> = welds
        .iter()
        .map(|weld| {
            let mut curves = Curves::default();
            curves.load(weld, &units, &limits).expect("valid");
            curves
        })
        .collect();
    let set = ModelSet::new(config.clone(), [], None).expect("models");
    let judge = Judge::new(units, limits, Some(set), Some(rules.clone()), 0.9999).expect("judge");

    let mut group = criterion.benchmark_group("row");
    group.throughput(Throughput::Elements(ROWS));
    group.bench_function("load: convert, measure, validate", |bencher| {
        let mut curves = Curves::default();
        bencher.iter(|| {
            welds
                .iter()
                .filter(|weld| curves.load(black_box(weld), &units, &limits).is_ok())
                .count()
        });
    });
    group.bench_function("rules", |bencher| {
        let mut scratch = RuleScratch::default();
        bencher.iter(|| {
            let judged = welds
                .iter()
                .zip(&loaded)
                .map(|(weld, curves)| rules.judge(weld.part_no, curves, &mut scratch));
            judged
                .filter(|findings| {
                    findings
                        .as_ref()
                        .is_ok_and(|findings| !findings.hits.is_empty())
                })
                .count()
        });
    });
    group.bench_function("features: resample, R, P", |bencher| {
        let mut rows = vec![0.0; config.row_len() * loaded.len()];
        let mut resampling = Resampling::default();
        bencher.iter(|| {
            for (curves, row) in loaded.iter().zip(rows.chunks_exact_mut(config.row_len())) {
                write_row(black_box(curves), &config, &mut resampling, row);
            }
        });
    });
    group.bench_function("prepare: all of these", |bencher| {
        let (mut workspace, mut prepared) = (Workspace::default(), Prepared::default());
        bencher.iter(|| judge.prepare(welds.iter().copied(), &mut workspace, &mut prepared));
    });
    group.bench_function("conclude: fusion", |bencher| {
        let (mut workspace, mut prepared) = (Workspace::default(), Prepared::default());
        bencher.iter_batched_ref(
            || {
                judge.prepare(welds.iter().copied(), &mut workspace, &mut prepared);
                for batch in prepared.batches(32) {
                    batch.nok_prob.fill(0.1);
                    batch.regression.fill(1.0);
                }
                (prepared.clone(), Vec::with_capacity(welds.len()))
            },
            |(prepared, verdicts)| judge.conclude(prepared, verdicts),
            criterion::BatchSize::LargeInput,
        );
    });
    group.finish();
}

/// Pieces of an answer, in memory.
struct Pieces(Vec<Bytes>);

impl ChunkSource for Pieces {
    async fn next(&mut self) -> Result<Option<Bytes>, StoreError> {
        Ok(self.0.pop())
    }
}

fn decoding(criterion: &mut Criterion<CpuTime>) {
    let block = Simulator::new(SimulationOptions::new(20_260_101, 4096, 3))
        .expect("options")
        .block(0..4096);
    let mut out = Writer::new(2, block.rows(), 1 << 20);
    out.arrays(
        "u_curve",
        "Array(Float32)",
        &block.u_offsets,
        &block.u_values,
    );
    out.arrays(
        "i_curve",
        "Array(Float32)",
        &block.i_offsets,
        &block.i_values,
    );
    let bytes = Bytes::from(out.finish());
    let mut pieces: Vec<Bytes> = (0..bytes.len())
        .step_by(1 << 17)
        .map(|at| bytes.slice(at..bytes.len().min(at + (1 << 17))))
        .collect();
    pieces.reverse();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("runtime");
    let mut group = criterion.benchmark_group("decode");
    group.throughput(Throughput::Elements(4096));
    let (mut ends, mut values): (Vec<u64>, Vec<f32>) = (Vec::new(), Vec::new());
    group.bench_function("4,096 rows of Native into a used arena", |bencher| {
        bencher.iter(|| {
            runtime.block_on(async {
                let mut reader = Reader::new(Pieces(pieces.clone()), "decode");
                ends.clear();
                values.clear();
                let rows = reader.block(2).await.expect("block").expect("rows");
                for _ in 0..2 {
                    reader.column("Array(Float32)").await.expect("column");
                    let base = values.len() as u64;
                    let samples = reader
                        .array_ends(rows, base, &mut ends)
                        .await
                        .expect("ends");
                    reader.numbers(samples, &mut values).await.expect("samples");
                }
            });
        });
    });
    group.finish();
}

fn config() -> Criterion<CpuTime> {
    Criterion::default()
        .with_measurement(CpuTime)
        .sample_size(30)
        .measurement_time(Duration::from_secs(2))
        .warm_up_time(Duration::from_millis(500))
}

criterion_group! { name = benches; config = config(); targets = steps, decoding }
criterion_main!(benches);
