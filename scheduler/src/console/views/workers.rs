//! Workers, as they tell of themselves.

use std::time::Duration;

use askama::{Error, Template as _};
use weldfleet_queue::WorkerEntry;
use weldfleet_service::output::grouped;
use weldfleet_words::Language;

use super::{
    frame::{Frame, View},
    notes::unread,
    table::{Columns, For, ListPage, Table},
};
use crate::{
    console::{page_request::PageRequest, words::Text},
    events::fault_in_chinese,
    status::report::{Report, gpu},
};

/// Workers on a page: so many are put in again without anybody's waiting.
const WORKERS: usize = 200;

pub fn page(report: &Report, place: usize, request: &PageRequest) -> Result<String, Error> {
    let mut table = table(report, For::People, request.text);
    let all = table.rows.len();
    let first = (place * WORKERS).min(all);
    let last = (first + WORKERS).min(all);
    table.rows = table.rows.drain(first..last).collect();
    let mut notes = unread(report.workers.is_none(), report, request.text);
    if all > WORKERS {
        let (from, to, all) = (first + 1, last, grouped(all as u64));
        notes.push(format!("{from}–{to} / {all}"));
    }
    let page = ListPage {
        t: request.text,
        frame: Frame::at(View::Workers, report.at_ms, request),
        notes,
        table,
        export: request.page("/ui/workers.csv"),
        next: (last < all).then(|| format!("{}&page={}", request.page("/ui/workers"), place + 1)),
        next_word: request.text.further,
    };
    page.render()
}

pub fn table(report: &Report, whom: For, text: &Text) -> Table {
    let [
        id,
        state,
        leases,
        pace,
        stages,
        device,
        load,
        model,
        room,
        waits,
        address,
    ] = text.worker_columns;
    let field = |name: &'static str| move |worker: &WorkerEntry| told(worker, name);
    Columns::<WorkerEntry>::new()
        .theirs(id, |worker| worker.id.to_string())
        .ours(state, |worker| {
            if worker.silent_ms <= report.thresholds.silent_ms {
                return "✓".to_owned();
            }
            let silence = text.spoken(Duration::from_millis(worker.silent_ms));
            format!("{} {silence}", text.silent)
        })
        .ours(leases, |worker| worker.leases.to_string())
        .ours(pace, field("rows_per_second"))
        .ours(stages, field("stages"))
        .ours(device, field("device"))
        .ours(load, |worker| gpu(worker).unwrap_or_default())
        .theirs(model, |worker| told(worker, "model_version"))
        .ours(room, |worker| {
            let room = told(worker, "save_dir_free_bytes");
            match (whom, room.parse::<u64>()) {
                (For::People, Ok(bytes)) => format!("{} GiB", bytes >> 30),
                _ => room,
            }
        })
        .ours(waits, |worker| {
            let waits = told(worker, "waits_for");
            match (whom, text.lang) {
                (For::People, Language::Chinese) => fault_in_chinese(&waits),
                _ => waits,
            }
        })
        .ours(address, field("address"))
        .table(report.workers.iter().flatten())
}

/// What it says of itself; empty where it says nothing.
fn told(worker: &WorkerEntry, field: &str) -> String {
    worker.fields.get(field).cloned().unwrap_or_default()
}
