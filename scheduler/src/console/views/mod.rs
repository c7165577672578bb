//! The content of each page, made of the status model; [`welds`]: of welds.

pub mod welds;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use askama::{Error, Template};
use weldfleet_fleet::DayGroup;
use weldfleet_queue::{Job, State, WorkerEntry};
use weldfleet_service::output::grouped;
use weldfleet_stores::clickhouse::{EventKey, EventLine, LineShares, MOST_LINES};
use weldfleet_words::Language;

use super::{
    Dead, MOST_DEAD,
    actions::UNCONFIRMED,
    flash::Flash,
    page_request::{PageRequest, Undoable},
    problem::Problem,
    shares::ShiftShares,
    words::Text,
};
use crate::{
    events,
    pass::LIVE,
    settle,
    status::report::{CauseLine, DayLine, Outlook, Report, RunLine, gpu},
    users::Role,
};

/// Workers on a page: so many are put in again without anybody's waiting.
const WORKERS: usize = 200;

/// Older days told one by one; more are summed up.
const MOST_OLDER: usize = 10;

/// A page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum View {
    Now,
    Backfills,
    Workers,
    Jobs,
    Nok,
    Events,
    /// One weld; reached from the list.
    Weld,
}

impl View {
    /// Those in the navigation.
    const LINKED: [Self; 6] = [
        Self::Now,
        Self::Backfills,
        Self::Workers,
        Self::Jobs,
        Self::Nok,
        Self::Events,
    ];

    fn path(self) -> &'static str {
        match self {
            Self::Now => "/ui",
            Self::Backfills => "/ui/backfills",
            Self::Workers => "/ui/workers",
            Self::Jobs => "/ui/jobs",
            Self::Nok => "/ui/nok",
            Self::Events => "/ui/events",
            Self::Weld => "/ui/weld",
        }
    }

    /// Whether it shows what is at this moment. Lists of welds and of events are read by people, who go through them.
    fn is_live(self) -> bool {
        matches!(
            self,
            Self::Now | Self::Backfills | Self::Workers | Self::Jobs
        )
    }

    fn name(self, text: &Text) -> &'static str {
        match self {
            Self::Now => text.now,
            Self::Backfills => text.backfills,
            Self::Workers => text.workers,
            Self::Jobs => text.jobs,
            Self::Nok => text.nok,
            Self::Events => text.events,
            Self::Weld => text.weld,
        }
    }
}

/// What is around every page.
struct Frame<'a> {
    title: &'static str,
    links: Vec<Link>,
    /// When the stores were looked at.
    seen: String,
    live: bool,
    has_keys: bool,
    request: &'a PageRequest,
}

struct Link {
    path: &'static str,
    name: &'static str,
    here: bool,
}

impl<'a> Frame<'a> {
    fn at(view: View, ms: i64, request: &'a PageRequest) -> Self {
        let links = View::LINKED.iter().map(|other| Link {
            path: other.path(),
            name: other.name(request.text),
            here: *other == view,
        });
        Self {
            title: view.name(request.text),
            links: links.collect(),
            seen: request.time(ms),
            live: view.is_live(),
            has_keys: matches!(view, View::Nok | View::Weld),
            request,
        }
    }

    /// Who has signed in.
    fn name(&self) -> Option<&str> {
        self.request.visitor.as_ref()?.name.as_deref()
    }

    fn role(&self) -> &'static str {
        let visitor = self.request.visitor.as_ref();
        visitor.map_or("", |visitor| self.request.text.roles[visitor.role as usize])
    }

    fn can_sign_out(&self) -> bool {
        let visitor = self.request.visitor.as_ref();
        visitor.is_some_and(|visitor| visitor.name.is_some() && !visitor.by_proxy)
    }

    fn flash(&self) -> Option<&Flash> {
        self.request.flash.as_ref()
    }

    /// What can be taken back here: where single keys do something.
    fn undo(&self) -> Option<&Undoable> {
        self.request.undo.as_ref().filter(|_| self.has_keys)
    }

    fn token(&self) -> &str {
        self.request.token()
    }

    fn rest(&self) -> &str {
        &self.request.rest
    }

    fn reviews(&self) -> bool {
        self.request.may(Role::Reviewer)
    }

    /// Whether its content changes by itself.
    fn is_live(&self) -> bool {
        self.live
    }

    /// Whether single keys do something on it.
    fn has_keys(&self) -> bool {
        self.has_keys
    }

    fn operates(&self) -> bool {
        self.request.may(Role::Operator)
    }
}

/// Whom a table is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum For {
    People,
    /// Numbers are such that it can count with them.
    Spreadsheet,
}

impl For {
    fn count(self, count: u64) -> String {
        match self {
            Self::People => grouped(count),
            Self::Spreadsheet => count.to_string(),
        }
    }

    /// What is not known.
    fn nothing(self) -> String {
        match self {
            Self::People => "–".to_owned(),
            Self::Spreadsheet => String::new(),
        }
    }

    fn share(self, nok: u64, judged: u64) -> String {
        let share = nok as f64 / judged as f64;
        match self {
            _ if judged == 0 => self.nothing(),
            Self::People => format!("{:.2} %", share * 100.0),
            Self::Spreadsheet => format!("{share:.6}"),
        }
    }
}

/// Rows of text under their names.
#[derive(Default)]
pub struct Table {
    pub head: Vec<&'static str>,
    pub rows: Vec<Vec<String>>,
}

/// What a column is called, and what it holds of a row.
type Column<'c, T> = (&'static str, &'c dyn Fn(&T) -> String);

impl Table {
    fn of<T>(rows: &[T], columns: &[Column<'_, T>]) -> Self {
        let cells = |row| columns.iter().map(|(_, cell)| cell(row)).collect();
        Self {
            head: columns.iter().map(|(name, _)| *name).collect(),
            rows: rows.iter().map(cells).collect(),
        }
    }
}

struct Figure {
    name: &'static str,
    value: String,
}

struct CauseText<'r> {
    what: &'r str,
    remedy: &'r str,
}

#[derive(Template)]
#[template(path = "now.html")]
struct NowPage<'a> {
    t: &'static Text,
    frame: Frame<'a>,
    /// Its colour, and what it says.
    outlook: (&'static str, &'static str),
    causes: Vec<CauseText<'a>>,
    /// What else a person may want to know.
    hints: Vec<String>,
    /// How old what is read more rarely is; `None`: about as old as the rest.
    details_age: Option<String>,
    /// Whether there is something to resume.
    paused: bool,
    figures: Vec<Figure>,
    /// Why there are no NOK shares.
    no_shares: Option<String>,
    /// NOK shares by line, under what is compared.
    shares: Option<(String, Table)>,
    /// Why the days cannot be told.
    notes: Vec<String>,
    table: Table,
    of_the_days: Vec<String>,
}

#[derive(Template)]
#[template(path = "list.html")]
struct ListPage<'a> {
    t: &'static Text,
    frame: Frame<'a>,
    notes: Vec<String>,
    table: Table,
    /// The same for a spreadsheet.
    export: String,
    /// What is behind the last of them, and what that is called.
    next: Option<String>,
    next_word: &'static str,
}

/// Whether somebody should do something, and how it goes.
pub fn now(
    report: &Report,
    shares: Option<&Result<Arc<ShiftShares>, Problem>>,
    request: &PageRequest,
) -> Result<String, Error> {
    let text = request.text;
    let causes = report.causes.iter().map(|cause| CauseText {
        what: cause.what.of(text.lang),
        remedy: cause.remedy.of(text.lang),
    });
    let hints = report
        .hints
        .iter()
        .map(|hint| hint.words.of(text.lang).to_owned());
    let problems = report
        .further_problems()
        .map(|problem| not_reached(problem, text));
    let page = NowPage {
        t: text,
        frame: Frame::at(View::Now, report.at_ms, request),
        outlook: match report.outlook() {
            Outlook::StandsStill => ("red", text.stands_still),
            Outlook::NeedsAttention => ("amber", text.attention),
            Outlook::Calm => ("calm", text.in_order),
        },
        causes: causes.collect(),
        hints: problems.chain(hints).collect(),
        details_age: details_age(report, text),
        // A pause for settling ends by itself; a person may take its place.
        paused: report
            .paused
            .as_ref()
            .is_some_and(|pause| settle::ends_ms(pause).is_none()),
        figures: figures(report, text),
        shares: shares
            .and_then(|shares| shares.as_ref().ok())
            .map(|shares| {
                let table = shares_table(shares, For::People, text);
                (shares_heading(shares, text), table)
            }),
        no_shares: shares
            .and_then(|shares| shares.as_ref().err())
            .map(|why| why.text(text.lang)),
        notes: unread(report.days.is_none(), report, text),
        table: days_table(report, For::People, text),
        of_the_days: of_the_days(report, text),
    };
    page.render()
}

fn details_age(report: &Report, text: &Text) -> Option<String> {
    let age = text.spoken(report.details_age()?);
    Some(text.details_are_old.replace("{}", &age))
}

pub fn days_table(report: &Report, whom: For, text: &Text) -> Table {
    let days = report.days.iter().flatten();
    Table {
        head: text.day_columns.to_vec(),
        rows: days.map(|line| day(line, whom)).collect(),
    }
}

fn figures(report: &Report, text: &Text) -> Vec<Figure> {
    let jobs = |state| {
        let jobs = report.jobs.as_ref();
        jobs.map(|jobs| grouped(jobs.get(&state).copied().unwrap_or(0)))
    };
    let live = report.live_rows_left();
    let eta = report
        .eta_seconds
        .map(|seconds| text.spoken(Duration::from_secs_f64(seconds)));
    let workers = report.workers.as_ref();
    [
        (text.keeps_up, keeps_up(report, text)),
        (text.left, live.map(grouped)),
        (text.left_of_runs, left_of_open_runs(report).map(grouped)),
        (
            text.pace,
            report.rows_per_second.map(|pace| grouped(pace as u64)),
        ),
        (text.eta, eta),
        (text.pending, jobs(State::Pending)),
        (text.leased, jobs(State::Leased)),
        (text.dead, jobs(State::Dead)),
        (
            text.alive,
            workers.map(|_| report.living_workers().count().to_string()),
        ),
    ]
    .into_iter()
    .map(|(name, value)| Figure {
        name,
        value: value.unwrap_or_else(|| "–".to_owned()),
    })
    .collect()
}

/// `None` while those of one are not counted.
fn left_of_open_runs(report: &Report) -> Option<u64> {
    let runs = report.runs.as_ref()?.iter();
    let open = runs.filter(|run| run.state == "open");
    open.map(|run| run.left).sum()
}

/// What `scheduler status` tells of the days besides.
fn of_the_days(report: &Report, text: &Text) -> Vec<String> {
    let mut told = Vec::new();
    if let Some(rows) = report.not_selected.filter(|rows| *rows > 0) {
        told.push(text.not_selected.replace("{rows}", &grouped(rows)));
    }
    let older = report.older_days.as_deref().unwrap_or_default();
    if !older.is_empty() {
        let (first, more) = older.split_at(older.len().min(MOST_OLDER));
        let mut days: Vec<String> = first
            .iter()
            .map(|day| format!("{}: {}", day.day, grouped(day.left)))
            .collect();
        if !more.is_empty() {
            let rows: u64 = more.iter().map(|day| day.left).sum();
            let said = text.more_days.replace("{days}", &more.len().to_string());
            days.push(said.replace("{rows}", &grouped(rows)));
        }
        told.push(text.older_left.replace("{days}", &days.join(", ")));
    }
    let behind = report.mirror.iter().flatten().filter(|day| !day.equal);
    told.extend(behind.map(|line| {
        let said = text.mirror_lag.replace("{day}", &line.day);
        let said = said.replace("{mirrored}", &grouped(line.mirrored));
        said.replace("{committed}", &grouped(line.committed))
    }));
    if let Some(rows) = report.mirror_kept_rows.filter(|rows| *rows > 0) {
        told.push(text.mirror_kept.replace("{rows}", &grouped(rows)));
    }
    told
}

/// Live jobs that wait for a worker longer than this are told of, as by the alert `WeldfleetWaitsLong`.
const WAITS_LONG: Duration = Duration::from_secs(60);

/// Whether live rows are judged as they come; `None` if nobody can tell.
fn keeps_up(report: &Report, text: &Text) -> Option<String> {
    let queue = report.queue.as_ref()?;
    let left = report.live_rows_left();
    // A standstill is only one of live rows if there are any.
    let behind = |cause: &CauseLine| match cause.code {
        "back_pressure" => cause.alarming,
        "settling" => false,
        "only_delayed" | "only_isolated" | "only_splitting" => left.is_none_or(|rows| rows > 0),
        _ => cause.stops,
    };
    if report.causes.iter().any(behind) {
        return Some(text.no.to_owned());
    }
    let is_live = queue.oldest_pending_priority == Some(LIVE);
    let waits = queue.oldest_pending_ms.filter(|_| is_live);
    Some(match waits.map(Duration::from_millis) {
        Some(waits) if waits > WAITS_LONG => format!("{} {}", text.waits, text.spoken(waits)),
        _ if left.is_none() => return None,
        _ => text.yes.to_owned(),
    })
}

fn shares_heading(shares: &ShiftShares, text: &Text) -> String {
    let since = shares.since.strftime("%Y-%m-%d %H:%M");
    let what = match shares.shift.as_str() {
        "" => text.shares_today.to_owned(),
        shift => format!("{} {shift}", text.shares),
    };
    format!("{what} {} {since}", text.since)
}

pub fn shares_table(shares: &ShiftShares, whom: For, text: &Text) -> Table {
    let mut head = text.share_columns.to_vec();
    // A file stands alone, away from its heading.
    let [since, read_at] =
        [shares.since, shares.read_at].map(|at| at.strftime("%Y-%m-%d %H:%M:%S").to_string());
    let about = [shares.shift.clone(), since, read_at];
    if whom == For::Spreadsheet {
        head.extend(text.share_about);
    }
    let row = |line: &LineShares| {
        let name = match line.line.as_str() {
            "" if shares.by_line => text.no_line,
            "" => text.all_lines,
            name => name,
        };
        let mut row = vec![
            name.to_owned(),
            whom.count(line.judged),
            whom.count(line.nok),
            whom.share(line.nok, line.judged),
            whom.share(line.nok_before, line.judged_before),
        ];
        if whom == For::Spreadsheet {
            row.extend(about.clone());
        }
        row
    };
    let mut rows: Vec<Vec<String>> = shares.lines.iter().map(row).collect();
    // A spreadsheet would count them twice.
    if whom == For::People {
        rows.extend(total(shares, text).as_ref().map(row));
    }
    Table { head, rows }
}

/// All lines together, where several are told and none is left out.
fn total(shares: &ShiftShares, text: &Text) -> Option<LineShares> {
    let lines = &shares.lines;
    let sum = |of: fn(&LineShares) -> u64| lines.iter().map(of).sum();
    (1 < lines.len() && lines.len() < MOST_LINES as usize).then(|| LineShares {
        line: text.all_lines.to_owned(),
        judged: sum(|line| line.judged),
        nok: sum(|line| line.nok),
        judged_before: sum(|line| line.judged_before),
        nok_before: sum(|line| line.nok_before),
    })
}

fn day(day: &DayLine, whom: For) -> Vec<String> {
    let rows = &day.outcomes;
    vec![
        day.day.clone(),
        whom.count(day.total),
        whom.count(day.left),
        whom.count(rows.ok),
        whom.count(rows.nok),
        whom.share(rows.nok, rows.ok + rows.nok),
        whom.count(rows.invalid),
        whom.count(rows.poison),
        whom.count(rows.error),
    ]
}

struct RunRow {
    cells: Vec<String>,
    run: u64,
    /// What can be done to it, and what that is called.
    changes: Vec<(&'static str, &'static str)>,
}

#[derive(Template)]
#[template(path = "backfills.html")]
struct BackfillsPage<'a> {
    t: &'static Text,
    frame: Frame<'a>,
    /// Why there is nothing to be shown.
    notes: Vec<String>,
    rows: Vec<RunRow>,
}

/// Runs, with who wanted them and what for.
pub fn backfills(report: &Report, dead: &Dead, request: &PageRequest) -> Result<String, Error> {
    let text = request.text;
    let rows = report.runs.iter().flatten().map(|line| RunRow {
        cells: run(line, dead, For::People, text),
        run: line.run,
        changes: changes(line, text),
    });
    let mut notes = unread(report.runs.is_none(), report, text);
    if report.runs.as_ref().is_some_and(|runs| !runs.is_empty()) {
        notes.extend(details_age(report, text));
    }
    notes.extend(first_of(report, dead, text));
    let page = BackfillsPage {
        t: text,
        frame: Frame::at(View::Backfills, report.at_ms, request),
        notes,
        rows: rows.collect(),
    };
    page.render()
}

/// Buttons of a run: name and word.
fn changes(line: &RunLine, text: &Text) -> Vec<(&'static str, &'static str)> {
    let mut changes = match line.state {
        "open" => vec![("hold", text.hold)],
        "held" => vec![("resume", text.resume)],
        _ => return Vec::new(),
    };
    if line.days > 1 {
        changes.push(match line.order {
            "newest" => ("oldest", text.oldest_first),
            _ => ("newest", text.newest_first),
        });
    }
    changes.push(("cancel", text.cancel));
    changes
}

/// The runs for a spreadsheet.
pub fn runs_table(report: &Report, dead: &Dead, text: &Text) -> Table {
    let rows = report.runs.iter().flatten();
    let rows = rows.map(|line| run(line, dead, For::Spreadsheet, text));
    Table {
        head: text.run_columns.to_vec(),
        rows: rows.collect(),
    }
}

/// That there are more dead jobs than were read.
fn first_of(report: &Report, dead: &Dead, text: &Text) -> Option<String> {
    let jobs = report.jobs.as_ref();
    let all = jobs.and_then(|jobs| jobs.get(&State::Dead)).copied();
    let read = dead.as_ref().map_or(0, |dead| dead.len());
    let more = all.filter(|all| may_be_more(dead) && *all > read as u64)?;
    let said = text.first_of.replace("{first}", &grouped(read as u64));
    Some(said.replace("{all}", &grouped(more)))
}

/// Whether there may be more than were read.
fn may_be_more(dead: &Dead) -> bool {
    dead.as_ref()
        .is_ok_and(|dead| dead.len() >= MOST_DEAD as usize)
}

/// What could not be reached, where that is why there is no list.
fn unread(is_unread: bool, report: &Report, text: &Text) -> Vec<String> {
    let told = |problem: &String| not_reached(problem, text);
    match is_unread {
        true => report.problems.iter().map(told).collect(),
        false => Vec::new(),
    }
}

fn not_reached(problem: &str, text: &Text) -> String {
    Problem::NotReached(vec![problem.to_owned()]).text(text.lang)
}

/// Days of a run that have dead jobs, as far as these were read.
fn failed_days(run: u64, dead: &Dead, whom: For) -> String {
    let Ok(jobs) = dead else {
        return whom.nothing();
    };
    let groups = jobs.iter().filter_map(|job| job.group.parse().ok());
    let days: BTreeSet<DayGroup> = groups.filter(|group: &DayGroup| group.run == run).collect();
    let least = if may_be_more(dead) { "≥ " } else { "" };
    format!("{least}{}", whom.count(days.len() as u64))
}

fn run(run: &RunLine, dead: &Dead, whom: For, text: &Text) -> Vec<String> {
    let or_dash = |count: Option<u64>| match count {
        Some(count) => whom.count(count),
        None => whom.nothing(),
    };
    let changed = [run.changed_by.as_str(), run.changed_why.as_str()];
    let changed: Vec<&str> = changed
        .into_iter()
        .filter(|text| !text.is_empty())
        .collect();
    vec![
        run.run.to_string(),
        run.from.clone(),
        run.to.clone(),
        match run.order {
            "newest" => format!("{}, {}", run.selection, text.newest_first),
            _ => format!("{}, {}", run.selection, text.oldest_first),
        },
        text.run_state(run.state).to_owned(),
        or_dash(run.left),
        or_dash(run.days_left.map(|left| run.days.saturating_sub(left))),
        or_dash(run.days_left),
        failed_days(run.run, dead, whom),
        run.by.clone(),
        run.note.clone(),
        changed.join(": "),
    ]
}

/// Workers, as they tell of themselves.
pub fn workers(report: &Report, place: usize, request: &PageRequest) -> Result<String, Error> {
    let mut table = workers_table(report, For::People, request.text);
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

pub fn workers_table(report: &Report, whom: For, text: &Text) -> Table {
    let rows = report.workers.iter().flatten();
    let rows = rows.map(|entry| worker(entry, report.thresholds.silent_ms, whom, text));
    Table {
        head: text.worker_columns.to_vec(),
        rows: rows.collect(),
    }
}

fn worker(worker: &WorkerEntry, silent_ms: u64, whom: For, text: &Text) -> Vec<String> {
    let field = |name: &str| worker.fields.get(name).cloned().unwrap_or_default();
    let heard = if worker.silent_ms > silent_ms {
        let silence = text.spoken(Duration::from_millis(worker.silent_ms));
        format!("{} {silence}", text.silent)
    } else {
        "✓".to_owned()
    };
    let room = field("save_dir_free_bytes");
    let room = match (whom, room.parse::<u64>()) {
        (For::People, Ok(bytes)) => format!("{} GiB", bytes >> 30),
        _ => room,
    };
    vec![
        worker.id.to_string(),
        heard,
        worker.leases.to_string(),
        field("rows_per_second"),
        field("stages"),
        field("device"),
        gpu(worker).unwrap_or_default(),
        field("model_version"),
        room,
        field("waits_for"),
        field("address"),
    ]
}

struct GroupRow {
    jobs: String,
    rows: String,
    why: String,
    ids: Vec<String>,
    /// The number that must be typed; 0: none.
    confirm: usize,
}

#[derive(Template)]
#[template(path = "jobs.html")]
struct JobsPage<'a> {
    t: &'static Text,
    frame: Frame<'a>,
    /// Why there is nothing to be shown.
    notes: Vec<String>,
    counts: String,
    groups: Vec<GroupRow>,
}

/// Dead jobs by cause, those with the most first.
pub fn jobs(report: &Report, dead: &Dead, request: &PageRequest) -> Result<String, Error> {
    let counts = report.jobs.iter().flatten();
    let counts: Vec<String> = counts
        .map(|(state, count)| format!("{} {}", grouped(*count), request.text.job_state(*state)))
        .collect();
    let read = dead.as_deref().map(Vec::as_slice);
    let groups = by_cause(read.unwrap_or_default())
        .into_iter()
        .map(|group| GroupRow {
            jobs: grouped(group.ids.len() as u64),
            rows: grouped(group.rows),
            why: group.why,
            confirm: match group.ids.len() {
                few if few <= UNCONFIRMED => 0,
                many => many,
            },
            ids: group.ids,
        });
    let page = JobsPage {
        t: request.text,
        frame: Frame::at(View::Jobs, report.at_ms, request),
        notes: dead
            .as_ref()
            .err()
            .map(|why| why.text(request.text.lang))
            .or_else(|| first_of(report, dead, request.text))
            .into_iter()
            .collect(),
        counts: counts.join(", "),
        groups: groups.collect(),
    };
    page.render()
}

/// Dead jobs one by one.
pub fn dead_table(dead: &[Job], text: &Text) -> Table {
    let row = |job: &Job| vec![job.id.clone(), job.weight.to_string(), why(job)];
    Table {
        head: text.dead_columns.to_vec(),
        rows: dead.iter().map(row).collect(),
    }
}

/// Why it is dead; of a record that cannot be read, what is wrong with it.
fn why(job: &Job) -> String {
    match job.unreadable.is_empty() {
        true => job.error.clone(),
        false => format!("unreadable: {}", job.unreadable.join(", ")),
    }
}

/// Jobs that died alike.
#[derive(Debug, PartialEq, Eq)]
struct DeadCause {
    ids: Vec<String>,
    rows: u64,
    why: String,
}

/// Errors that differ in numbers alone are one cause.
fn by_cause(dead: &[Job]) -> Vec<DeadCause> {
    let mut causes: BTreeMap<String, DeadCause> = BTreeMap::new();
    for job in dead {
        let why = why(job);
        let alike: String = why
            .chars()
            .map(|letter| if letter.is_ascii_digit() { '#' } else { letter })
            .collect();
        let cause = causes.entry(alike).or_insert_with(|| DeadCause {
            ids: Vec::new(),
            rows: 0,
            why,
        });
        cause.ids.push(job.id.clone());
        cause.rows += job.weight;
    }
    let mut causes: Vec<DeadCause> = causes.into_values().collect();
    causes.sort_by(|a, b| (b.ids.len(), &a.why).cmp(&(a.ids.len(), &b.why)));
    causes
}

/// What people and the fleet did; `latest` has one more than `most` if there are more.
pub fn events(
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
        table: events_table(events, request),
        next_word: request.text.older,
    };
    page.render()
}

pub fn events_table(events: Vec<EventLine>, request: &PageRequest) -> Table {
    let row = |event: EventLine| {
        let event = match request.text.lang {
            Language::Chinese => events::in_chinese(event),
            Language::English => event,
        };
        vec![
            request.time(event.at_ms),
            event.who,
            event.what,
            event.on_what,
            event.why,
            event.detail,
        ]
    };
    Table {
        head: request.text.event_columns.to_vec(),
        rows: events.into_iter().map(row).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::words::{CHINESE, ENGLISH},
        *,
    };
    use weldfleet_settings::Zone;
    use weldfleet_stores::clickhouse::OutcomeCounts;
    use weldfleet_words::Words;

    use crate::status::{
        causes::Cause,
        report::{Hint, MirrorLine, OlderDay, QueueFacts, Thresholds},
        worker_entry,
    };

    const HOSTILE: &str = "</td><script>alert('x')</script>";

    fn request(text: &'static Text) -> PageRequest {
        PageRequest {
            text,
            visitor: None,
            flash: None,
            undo: None,
            zone: Zone::default(),
            rest: String::new(),
        }
    }

    fn report() -> Report {
        Report {
            causes: vec![
                Cause::NoLeader.line(),
                Cause::Paused {
                    by: "ana@desk".to_owned(),
                    reason: HOSTILE.to_owned(),
                }
                .line(),
            ],
            hints: vec![Hint {
                words: Words::new(HOSTILE, HOSTILE),
                needs_a_person: true,
            }],
            days: Some(vec![DayLine {
                day: "20261128".to_owned(),
                live: true,
                total: 2000,
                left: 1234,
                outcomes: OutcomeCounts {
                    ok: 750,
                    nok: 6,
                    ..OutcomeCounts::default()
                },
            }]),
            runs: Some(vec![RunLine {
                run: 20_261_128_210_501_123,
                state: "held",
                left: Some(7),
                by: HOSTILE.to_owned(),
                note: HOSTILE.to_owned(),
                changed_by: "ben@line".to_owned(),
                changed_why: "night shift".to_owned(),
                ..RunLine::default()
            }]),
            ..Report::default()
        }
    }

    #[test]
    fn nothing_that_people_wrote_becomes_part_of_a_page() {
        let report = report();
        let none: Dead = Ok(Arc::default());
        for html in [
            now(&report, None, &request(&ENGLISH)).unwrap(),
            backfills(&report, &none, &request(&CHINESE)).unwrap(),
            workers(&report, 0, &request(&ENGLISH)).unwrap(),
            jobs(&report, &none, &request(&ENGLISH)).unwrap(),
        ] {
            assert!(!html.contains("<script>alert"), "{html}");
            assert_eq!(html.matches("<script").count(), 1, "only ours: {html}");
            assert!(!html.contains("style="), "the policy forbids it: {html}");
        }
        assert!(
            backfills(&report, &none, &request(&ENGLISH))
                .unwrap()
                .contains("ben@line: night shift")
        );
    }

    fn job(number: u32) -> Job {
        Job {
            state: State::Dead,
            group: format!("7:202611{}", 10 + number % 2),
            weight: 1,
            max_attempts: 5,
            error: "no such column".to_owned(),
            ..Job::named(&format!("20261128-{number}"))
        }
    }

    fn dead(count: u32) -> Dead {
        Ok(Arc::new((0..count).map(job).collect()))
    }

    #[test]
    fn what_is_only_the_first_part_says_so() {
        let request = request(&ENGLISH);
        let jobs = [(State::Dead, 1500)].into_iter().collect();
        let report = Report {
            jobs: Some(jobs),
            runs: Some(vec![RunLine {
                run: 7,
                ..RunLine::default()
            }]),
            ..Report::default()
        };
        for html in [
            super::jobs(&report, &dead(MOST_DEAD), &request).unwrap(),
            backfills(&report, &dead(MOST_DEAD), &request).unwrap(),
        ] {
            assert!(html.contains("oldest 1,000 of 1,500 dead jobs"), "{html}");
        }
        let days = |count| failed_days(7, &dead(count), For::People);
        assert_eq!(
            (days(MOST_DEAD), days(3)),
            ("≥ 2".to_owned(), "2".to_owned())
        );
        assert_eq!(first_of(&report, &dead(3), &ENGLISH), None);
    }

    #[test]
    fn a_dead_job_that_cannot_be_read_says_what_is_wrong_with_it() {
        let damaged = Job {
            error: String::new(),
            unreadable: vec!["state `x` is none".to_owned()],
            ..job(0)
        };
        let groups = by_cause(&[damaged]);
        assert_eq!(groups[0].why, "unreadable: state `x` is none");
    }

    #[test]
    fn a_spreadsheet_gets_numbers_that_it_can_count_with() {
        let table = days_table(&report(), For::Spreadsheet, &ENGLISH);
        assert_eq!(
            table.rows[0][1..6],
            ["2000", "1234", "750", "6", "0.007937"]
        );
        assert_eq!(For::Spreadsheet.share(0, 0), "");
    }

    #[test]
    fn now_says_the_sentence_and_the_figures_in_either_language() {
        let html = now(&report(), None, &request(&ENGLISH)).unwrap();
        assert!(
            html.contains("class=\"red\"") && html.contains("no scheduler leads"),
            "{html}"
        );
        assert!(
            html.contains("<dd>1,234</dd>") && html.contains("0.79 %"),
            "{html}"
        );
        let html = now(&report(), None, &request(&CHINESE)).unwrap();
        assert!(
            html.contains("没有主调度器") && html.contains("lang=\"zh\""),
            "{html}"
        );
        let calm = Report {
            causes: vec![Cause::NothingToDo.line()],
            ..Report::default()
        };
        let html = now(&calm, None, &request(&ENGLISH)).unwrap();
        assert!(
            html.contains("class=\"calm\"") && html.contains("nothing to do"),
            "{html}"
        );
    }

    #[test]
    fn now_tells_of_the_days_what_status_tells() {
        let older = |day: u32| OlderDay {
            day: day.to_string(),
            left: 3,
        };
        let line = |equal| MirrorLine {
            day: "20261128".to_owned(),
            committed: 1006,
            mirrored: 1000,
            kept: 0,
            equal,
            late: 0,
        };
        let open = RunLine {
            state: "open",
            left: Some(800),
            ..RunLine::default()
        };
        let mut report = Report {
            runs: Some(vec![open, report().runs.unwrap().remove(0)]),
            not_selected: Some(12),
            older_days: Some((20_261_101..20_261_113).map(older).collect()),
            mirror: Some(vec![line(false), line(true)]),
            mirror_kept_rows: Some(9),
            ..report()
        };
        let html = now(&report, None, &request(&ENGLISH)).unwrap();
        for told in [
            "<dt>live rows left</dt><dd>1,234</dd>",
            "<dt>rows left of backfills</dt><dd>800</dd>",
            "12 more rows of these days",
            "20261101: 3, ",
            "20261110: 3, 2 more days: 6.",
            "MySQL has 1,000 of 1,006 NOK rows of 20261128.",
            "9 NOK rows of MySQL stay",
        ] {
            assert!(html.contains(told), "{told}: {html}");
        }
        let told = of_the_days(&report, &CHINESE);
        assert!(!told.concat().contains('{'), "{told:?}");
        report
            .runs
            .iter_mut()
            .flatten()
            .for_each(|run| run.left = None);
        assert_eq!(left_of_open_runs(&report), None);
        assert!(of_the_days(&Report::default(), &ENGLISH).is_empty());
    }

    #[test]
    fn lines_are_told_with_their_total_and_one_without_a_name_is_not_all_of_them() {
        let line = |name: &str, nok| LineShares {
            line: name.to_owned(),
            judged: 100,
            nok,
            judged_before: 1000,
            nok_before: 10,
        };
        let told = |by_line, lines: &[LineShares], whom| {
            let at = jiff::civil::date(2026, 11, 29).at(6, 0, 0, 0);
            let shares = ShiftShares {
                shift: "early".to_owned(),
                since: at,
                read_at: at,
                lines: lines.to_vec(),
                by_line,
            };
            let rows = shares_table(&shares, whom, &ENGLISH).rows.into_iter();
            rows.map(|row| row[..4].join(" ")).collect::<Vec<_>>()
        };
        let lines = [line("A", 5), line("", 1)];
        let people = told(true, &lines, For::People);
        assert_eq!(
            people,
            [
                "A 100 5 5.00 %",
                "no line named 100 1 1.00 %",
                "all 200 6 3.00 %"
            ]
        );
        assert_eq!(told(true, &lines, For::Spreadsheet).len(), 2);
        assert_eq!(told(false, &lines[1..], For::People), ["all 100 1 1.00 %"]);
    }

    #[test]
    fn a_fleet_keeps_up_if_live_rows_are_judged_as_they_come() {
        let up = |cause: Option<Cause>, left: u64, waits: Option<u64>| {
            let report = Report {
                causes: cause.iter().map(Cause::line).collect(),
                days: Some(vec![DayLine {
                    live: true,
                    left,
                    ..DayLine::default()
                }]),
                queue: Some(QueueFacts {
                    oldest_pending_ms: waits,
                    oldest_pending_priority: Some(LIVE),
                    ..QueueFacts::default()
                }),
                ..Report::default()
            };
            keeps_up(&report, &ENGLISH).unwrap()
        };
        let delayed = |left| {
            let until = "12:00:30".to_owned();
            up(Some(Cause::OnlyDelayed { jobs: 1, until }), left, None)
        };
        let full = |live| up(Some(Cause::BackPressure { live, jobs: 1000 }), 7, None);
        assert_eq!(up(None, 1000, Some(60_000)), "yes");
        assert_eq!(
            up(None, 1000, Some(61_000)),
            "no, live work waits 1 min 1 s"
        );
        assert_eq!(up(Some(Cause::NoLeader), 1000, None), "no");
        assert_eq!((&*full(true), &*full(false)), ("no", "yes"));
        assert_eq!((&*delayed(7), &*delayed(0)), ("no", "yes"));
        assert_eq!(keeps_up(&Report::default(), &ENGLISH), None);
    }

    #[test]
    fn now_counts_workers_that_live_and_says_what_could_not_be_looked_at() {
        let worker = |silent_ms| WorkerEntry {
            silent_ms,
            ..worker_entry(&[])
        };
        let report = Report {
            workers: Some(vec![worker(0), worker(15_001)]),
            thresholds: Thresholds {
                silent_ms: 15_000,
                ..Thresholds::default()
            },
            problems: vec!["clickhouse: older days could not be counted".to_owned()],
            at_ms: 100_000,
            details_at_ms: Some(58_000),
            ..Report::default()
        };
        let html = now(&report, None, &request(&ENGLISH)).unwrap();
        for query in [
            "class=\"amber\"",
            "older days could not be counted",
            "<dd>1</dd>",
            "42 s old",
        ] {
            assert!(html.contains(query), "{query}: {html}");
        }
    }
}
