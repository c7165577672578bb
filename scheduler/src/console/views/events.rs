//! What people and the fleet did.

use askama::{Error, Template as _};
use weldfleet_stores::clickhouse::{EventKey, EventLine};
use weldfleet_words::Language;

use super::{
    frame::{Frame, View},
    table::{Columns, ListPage, Table},
};
use crate::{
    console::{page_request::PageRequest, problem::Problem},
    events,
};

/// `latest` has one more than `most` if there are more.
pub fn page(
    latest: Result<Vec<EventLine>, Problem>,
    most: usize,
    before: Option<EventKey>,
    seen_ms: i64,
    request: &PageRequest,
) -> Result<String, Error> {
    let (mut events, mut notes) = (Vec::new(), Vec::new());
    match latest {
        Ok(latest) => events = latest,
        Err(why) => notes.push(why.text(request.text.lang)),
    }
    let more = events.len() > most;
    events.truncate(most);
    let behind = |page: &str, key: EventKey| format!("{}&before={key}", request.page(page));
    let last = events.last().filter(|_| more).map(EventLine::key);
    let page = ListPage {
        t: request.text,
        frame: Frame::at(View::Events, seen_ms, request),
        notes,
        export: before.map_or_else(
            || request.page("/ui/events.csv"),
            |key| behind("/ui/events.csv", key),
        ),
        next: last.map(|key| behind("/ui/events", key)),
        table: table(events, request),
        next_word: request.text.older,
    };
    page.render()
}

pub fn table(events: Vec<EventLine>, request: &PageRequest) -> Table {
    let in_words = |event| match request.text.lang {
        Language::Chinese => events::in_chinese(event),
        Language::English => event,
    };
    let events: Vec<EventLine> = events.into_iter().map(in_words).collect();
    let [time, who, what, on_what, why, detail] = request.text.event_columns;
    Columns::<EventLine>::new()
        .ours(time, |event| request.time(event.at_ms))
        .theirs(who, |event| event.who.clone())
        .ours(what, |event| event.what.clone())
        .theirs(on_what, |event| event.on_what.clone())
        .theirs(why, |event| event.why.clone())
        .theirs(detail, |event| event.detail.clone())
        .table(&events)
}
