//! What `scheduler migrate --grants` prints: the day runs under these accounts, and each line of it is needed.
//!
//! This ClickHouse engine refuses `CREATE USER` and `GRANT`, so the accounts are written into its `users.xml`, by the
//! lines as they are printed; for each line there is one more account that has all the others. MariaDB and Redis take
//! the lines themselves.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    io::Write as _,
    process::{Command, Stdio},
    time::Duration,
};

use reqwest::{Client, Response, redirect::Policy};
use weldfleet_tests::{
    Fleet, Process, Service,
    agree::Truth,
    eventually,
    fleet::all_of,
    mysql::MySql,
    status::{codes, named, status},
};

const MINUTES: Duration = Duration::from_secs(120);
const SOON: Duration = Duration::from_secs(30);
const PASSWORD: &str = "p";
const PAST: &str = "20260105";
const ACCOUNTS: [&str; 3] = [SCHEDULER, WORKER, CONSOLE];
const SCHEDULER: &str = "weldfleet_scheduler";
const WORKER: &str = "weldfleet_worker";
const CONSOLE: &str = "weldfleet_console";

/// What is tried without one of the privileges. Each says which it misses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Check,
    Status,
    /// `status` leaves out the free disk, and nothing else.
    FreeDisk,
    Backfill,
    DropJob,
    Settle,
    EventsPage,
    WeldPage,
    Pause,
}

/// Which step needs which line; a line that is not here fails the test.
const CLICKHOUSE: &[(&str, &str, &str, Step)] = &[
    (SCHEDULER, "SELECT", "spot_records", Step::Status),
    (SCHEDULER, "ALTER UPDATE", "spot_records", Step::DropJob),
    (SCHEDULER, "SELECT", "weld_results", Step::DropJob),
    (SCHEDULER, "INSERT", "weld_results", Step::DropJob),
    (SCHEDULER, "SELECT", "weld_runs", Step::Status),
    (SCHEDULER, "INSERT", "weld_runs", Step::Backfill),
    (SCHEDULER, "SELECT", "weld_events", Step::EventsPage),
    (SCHEDULER, "INSERT", "weld_events", Step::Pause),
    (SCHEDULER, "SELECT", "merge_tree_settings", Step::Status),
    (SCHEDULER, "SELECT", "parts", Step::Status),
    (SCHEDULER, "SELECT", "mutations", Step::Settle),
    (SCHEDULER, "SELECT", "processes", Step::Settle),
    (SCHEDULER, "SELECT", "disks", Step::FreeDisk),
    (SCHEDULER, "SELECT", "storage_policies", Step::FreeDisk),
    (WORKER, "SELECT", "spot_records", Step::Check),
    (WORKER, "ALTER UPDATE", "spot_records", Step::Check),
    (WORKER, "SELECT", "weld_results", Step::Check),
    (WORKER, "INSERT", "weld_results", Step::Check),
    (WORKER, "SELECT", "merge_tree_settings", Step::Check),
    (WORKER, "SELECT", "processes", Step::Check),
    (CONSOLE, "SELECT", "spot_records", Step::Status),
    (CONSOLE, "SELECT", "weld_results", Step::WeldPage),
    (CONSOLE, "SELECT", "weld_runs", Step::Status),
    (CONSOLE, "SELECT", "weld_events", Step::EventsPage),
    (CONSOLE, "SELECT", "merge_tree_settings", Step::Status),
    (CONSOLE, "SELECT", "parts", Step::Status),
    (CONSOLE, "SELECT", "disks", Step::FreeDisk),
    (CONSOLE, "SELECT", "storage_policies", Step::FreeDisk),
];

#[tokio::test(flavor = "multi_thread")]
async fn the_day_runs_under_the_three_accounts() {
    let plant = Plant::start().await;
    plant.fleet.simulate("today", 3000, &["--nok-rate", "0.05"]);
    let worker = plant.process(WORKER, "worker");
    let scheduler = plant.scheduler_and_console(CONSOLE);
    plant.fleet.done(MINUTES).await;
    let truth = Truth::read(&plant.fleet.clickhouse, "spot_records").await;
    assert!(truth.counts().nok > 20, "{:?}", truth.counts());
    truth.assert_mirrored(&plant.fleet.mysql).await;
    for process in [&worker, &scheduler] {
        let log = process.log();
        for refusal in ["ACCESS_DENIED", "rivilege", "NOPERM", "denied"] {
            assert!(!log.contains(refusal), "{log}");
        }
    }
    let weld = plant
        .fleet
        .clickhouse
        .value("SELECT toString(any(record_id)) FROM spot_records WHERE final_result = 'NOK'")
        .await;
    let (code, page) = scheduler.get("/ui/nok").await;
    assert!(code == 200 && page.contains(&weld), "{weld}: {page}");
    let (code, page) = scheduler.get("/ui/events").await;
    assert!(code == 200 && !page.contains("rivilege"), "{page}");

    plant.fleet.simulate(PAST, 100, &[]);
    let past = ["--from", PAST, "--to", PAST, "--wait"];
    for (account, binary, arguments) in [
        (WORKER, "worker", &["check"][..]),
        (SCHEDULER, "scheduler", &[&["backfill"], &past[..]].concat()),
        (SCHEDULER, "scheduler", &[&["settle"], &past[..]].concat()),
        (SCHEDULER, "scheduler", &["status"]),
        (SCHEDULER, "scheduler", &["pause", "--reason", "x"]),
        (SCHEDULER, "scheduler", &["resume"]),
        (CONSOLE, "scheduler", &["status"]),
    ] {
        let (done, said) = plant.run(account, binary, arguments);
        assert!(done, "{account} {arguments:?}: {said}");
        for refusal in ["rivilege", "NOPERM", "denied", "may not"] {
            assert!(!said.contains(refusal), "{account} {arguments:?}: {said}");
        }
    }
    // The console's account reads and does no more.
    for (arguments, refused) in [
        (&["pause", "--reason", "x"][..], "NOPERM"),
        (
            &["backfill", "--from", PAST, "--to", PAST, "--force"],
            "INSERT",
        ),
    ] {
        let (done, said) = plant.run(CONSOLE, "scheduler", arguments);
        assert!(!done && said.contains(refused), "{arguments:?}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn queries_of_the_console_are_bounded_in_time_memory_and_rows() {
    let plant = Plant::start().await;
    let url = plant.fleet.services.url(Service::ClickHouse);
    let ask = async |sql: &str| {
        let request = reqwest::Client::new().post(url).body(sql.to_owned());
        let request = request.header("X-ClickHouse-User", CONSOLE);
        let answer = request.header("X-ClickHouse-Key", PASSWORD).send().await;
        answer.expect("an answer").text().await.expect("text")
    };
    assert_eq!(ask("SELECT 1").await, "1\n");
    for (sql, refused) in [
        (
            "SELECT sum(number) FROM numbers(3000000000)",
            "TOO_MANY_ROWS",
        ),
        (
            "SELECT sum(sleepEachRow(1)) FROM numbers(30) SETTINGS max_block_size = 1",
            "TIMEOUT_EXCEEDED",
        ),
        ("SELECT getSetting('max_memory_usage') <= 2000000000", "1\n"),
        (
            "SELECT 1 SETTINGS max_execution_time = 600",
            "SETTING_CONSTRAINT_VIOLATION",
        ),
        (
            "SELECT 1 SETTINGS max_execution_time = 0",
            "SETTING_CONSTRAINT_VIOLATION",
        ),
        (
            "SELECT 1 SETTINGS max_memory_usage = 0",
            "SETTING_CONSTRAINT_VIOLATION",
        ),
        (
            "SELECT 1 SETTINGS max_rows_to_read = 0",
            "SETTING_CONSTRAINT_VIOLATION",
        ),
        ("SELECT 1 SETTINGS readonly = 0", "READONLY"),
        (
            "INSERT INTO weld.weld_runs SELECT * FROM weld.weld_runs",
            "ACCESS_DENIED",
        ),
    ] {
        let said = ask(sql).await;
        assert!(said.contains(refused), "{sql}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_privilege_in_clickhouse_is_needed() {
    let plant = Plant::start().await;
    let fleet = &plant.fleet;
    // A day with patches, and jobs that nobody takes.
    fleet.simulate(PAST, 500, &[]);
    fleet.backfill(PAST, PAST, &[]);
    let mut scheduler = fleet.scheduler();
    let mut worker = fleet.worker();
    fleet.judged_on(PAST, MINUTES).await;
    fleet.idle(MINUTES).await;
    worker.kill();
    fleet.simulate("today", 3000, &[]);
    eventually("jobs wait", MINUTES, async || {
        (fleet.queue.count("pending").await >= 2).then_some(())
    })
    .await;
    scheduler.kill();

    let lines = plant.lines("GRANT ", "`weld`.`");
    let lines = [lines, plant.lines("GRANT ", "system.")].concat();
    assert_eq!(lines.len(), CLICKHOUSE.len(), "{lines:#?}");
    for (account, what, table, step) in CLICKHOUSE {
        let place = plant.place_of(account, what, table);
        let without = format!("{account}_{place}");
        let said = plant.tried(*step, &without).await;
        let names_it = said.contains(what) && said.contains(table);
        let shows_no_disk = *step == Step::FreeDisk && !said.contains("\"free_bytes\"");
        assert!(
            names_it || shows_no_disk,
            "{step:?} without {what} on {table}:\n{said}"
        );
        let (done, said) = plant.run(SCHEDULER, "scheduler", &["resume"]);
        assert!(done, "{said}");
    }
    // What is refused is not done, so that the fleet need not stand still until that is sure.
    let place = plant.place_of(SCHEDULER, "ALTER UPDATE", "spot_records");
    let without = format!("{SCHEDULER}_{place}");
    let said = plant.tried(Step::Settle, &without).await;
    assert!(said.contains("ALTER UPDATE"), "{said}");
    let paused = weldfleet_tests::queue::Queue::key("paused");
    let is_paused: u64 = fleet.queue.command(&["EXISTS", &paused]).await;
    assert_eq!(is_paused, 0, "{said}");
    let with = plant.tried(Step::FreeDisk, CONSOLE).await;
    assert!(with.contains("\"free_bytes\""), "{with}");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_privilege_in_mysql_is_needed() {
    let plant = Plant::start().await;
    let root = plant.root();
    // Without those of reviews it is tried to review, in the test below.
    for grant in plant.mysql.iter().filter(|grant| !grant.is_of_reviews()) {
        root.execute(&grant.revocation()).await;
        let (_, said) = plant.run_mysql(&grant.account, "worker", &["check"]);
        let line = said
            .lines()
            .find(|line| line.contains("failed") && line.contains("mysql"));
        let (account, verb) = (&grant.account, grant.verb());
        let line = line.unwrap_or_else(|| panic!("{account} {verb}: {said}"));
        assert!(
            line.contains(verb) && line.contains("nok_records"),
            "{verb}: {line}"
        );
        root.execute(&grant.statement()).await;
    }
    // What only people may write, the fleet may not.
    let refused = MySql::new(&plant.mysql_url(WORKER))
        .refusal("UPDATE weld.nok_records SET review_note = ''")
        .await;
    assert!(refused.contains("denied"), "{refused}");
}

/// Only the leader needs these rights, and whoever looks at the fleet has no use for them.
#[tokio::test(flavor = "multi_thread")]
async fn what_only_the_leader_is_refused_is_named() {
    let plant = Plant::start().await;
    let fleet = &plant.fleet;
    fleet.simulate(PAST, 100, &["--nok-rate", "0.2"]);
    let backfill = ["backfill", "--from", PAST, "--to", PAST];
    let (done, said) = plant.run(SCHEDULER, "scheduler", &backfill);
    assert!(done, "{said}");

    // The run is done, and cannot be closed.
    let place = plant.place_of(SCHEDULER, "INSERT", "weld_runs");
    let without = format!("{SCHEDULER}_{place}");
    let mut leader = plant.process(&without, "scheduler");
    let mut worker = plant.process(WORKER, "worker");
    fleet.judged(MINUTES).await;
    let cause = named(&leader, "leader_waits", MINUTES).await;
    let what = cause["what"]["en"].as_str().expect("words");
    assert!(what.contains("weld_runs"), "{what}");
    let remedy = "`scheduler migrate --grants` prints all of them";
    assert!(what.contains(remedy), "{what}");
    let told = status(&leader).await;
    assert!(!codes(&told).contains(&"nothing_to_do"), "{told}");
    let standby = plant.process(SCHEDULER, "scheduler");
    named(&standby, "leader_waits", MINUTES).await;
    leader.kill();
    named(&standby, "nothing_to_do", MINUTES).await;

    // MySQL lets the mirror be read, and takes no row of it.
    worker.kill();
    let root = plant.root();
    let insert = plant.mysql.iter().find(|grant| {
        grant.account == SCHEDULER && grant.what.contains("INSERT") && !grant.is_of_reviews()
    });
    let insert = insert.expect("a grant");
    root.execute(&insert.revocation()).await;
    assert!(root.execute("DELETE FROM weld.nok_records").await > 0);
    let cause = named(&standby, "mirror_away", MINUTES).await;
    let what = cause["what"]["en"].as_str().expect("words");
    assert!(what.contains("INSERT command denied"), "{what}");
    root.execute(&insert.statement()).await;
    eventually("the mirror is well again", MINUTES, async || {
        (!codes(&status(&standby).await).contains(&"mirror_away")).then_some(())
    })
    .await;
}

/// What the console's people see of the rights to the reviewers' columns: of the scheduler's account, and of the
/// console's where a scheduler has that one.
#[tokio::test(flavor = "multi_thread")]
async fn a_review_in_the_console_is_written_with_these_rights_and_without_them_says_what_is_denied()
{
    let mut plant = Plant::start().await;
    let users = plant.fleet.folder().join("users.toml");
    plant
        .fleet
        .set("console.users_file", &users.display().to_string());
    add_reviewer(&plant.fleet);
    let lots = ["--nok-rate", "0.2", "--until", "06:00"];
    plant.fleet.simulate("today", 300, &lots);
    let mut worker = plant.process(WORKER, "worker");
    let leader = plant.process(SCHEDULER, "scheduler");
    plant.fleet.done(MINUTES).await;
    worker.kill();
    drop(leader);
    let ids = "SELECT record_id FROM nok_records ORDER BY ck_ticks LIMIT 4";
    let ids = plant.fleet.mysql.rows(ids).await;
    let day = plant.fleet.day_before(0).await;
    let root = plant.root();
    for (account, ids) in [SCHEDULER, CONSOLE].into_iter().zip(ids.chunks(2)) {
        let scheduler = plant.scheduler_with_mysql_of(account);
        let person = Person::signed_in(&scheduler).await;
        let review = async |place: usize| person.confirm(&day, &ids[place][0]).await;
        let said = review(0).await;
        assert!(
            said.contains(&format!("{}: confirmed", ids[0][0])),
            "{said}"
        );
        let of_account = plant.mysql.iter().filter(|grant| grant.account == account);
        let of_reviews = |grant: &&Grant| grant.is_of_reviews() || grant.what == "SELECT";
        let needed: Vec<&Grant> = of_account.filter(of_reviews).collect();
        assert_eq!(needed.len(), 2, "{needed:?}");
        for grant in needed {
            root.execute(&grant.revocation()).await;
            let (verb, said) = (grant.verb(), review(1).await);
            assert!(
                said.contains(&format!("{verb} command denied")) && said.contains("nok_records"),
                "{account} {verb}: {said}"
            );
            root.execute(&grant.statement()).await;
        }
        let said = review(1).await;
        assert!(said.contains("confirmed"), "{said}");
    }
    let reviewed = "SELECT record_id, reviewed_by FROM nok_records WHERE review_result = 'confirmed' ORDER BY ck_ticks";
    let reviewed = plant.fleet.mysql.rows(reviewed).await;
    let by_reviewer = |row: &Vec<String>| vec![row[0].clone(), "reviewer".to_owned()];
    assert_eq!(
        reviewed,
        ids.iter().map(by_reviewer).collect::<Vec<_>>(),
        "what was denied is not written"
    );
}

fn add_reviewer(fleet: &Fleet) {
    let args = [
        "users",
        "add",
        "reviewer",
        "--role",
        "reviewer",
        "--password-stdin",
    ];
    let mut command = fleet.command("scheduler", &args);
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("runs");
    let mut stdin = child.stdin.take().expect("piped");
    writeln!(stdin, "{REVIEWERS_PASSWORD}").expect("written");
    drop(stdin);
    assert!(child.wait().expect("its end").success());
}

const REVIEWERS_PASSWORD: &str = "correct horse battery";

/// Somebody who has signed in to the console.
struct Person {
    client: Client,
    base: String,
    cookies: String,
}

impl Person {
    async fn signed_in(scheduler: &Process) -> Self {
        let client = Client::builder().redirect(Policy::none()).build();
        let mut person = Self {
            client: client.expect("a client"),
            base: scheduler.http().await,
            cookies: String::new(),
        };
        let fields = [("name", "reviewer"), ("password", REVIEWERS_PASSWORD)];
        let answer = person.post("/ui/sign-in", &fields).await;
        assert_eq!(answer.status(), 303);
        person.cookies = cookies(&answer).collect::<Vec<_>>().join("; ");
        person
    }

    async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Response {
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.extend_pairs(fields);
        let request = self
            .client
            .post(format!("{}{path}", self.base))
            .body(form.finish());
        let request = request
            .header("origin", &self.base)
            .header("cookie", &self.cookies)
            .header("content-type", "application/x-www-form-urlencoded");
        request.send().await.expect("an answer")
    }

    /// What the console says when this weld is confirmed; its page where it offers no review.
    async fn confirm(&self, day: &str, id: &str) -> String {
        let url = format!("{}/ui/weld?lang=en&day={day}&id={id}", self.base);
        let request = self.client.get(url).header("cookie", &self.cookies);
        let page = request.send().await.expect("an answer");
        let html = page.text().await.expect("text");
        let Some((_, form)) = html.split_once("action=\"/ui/review?") else {
            return html;
        };
        let (query, form) = form.split_once('"').expect("an address");
        let field = |name: &str| {
            let start = format!("name=\"{name}\" value=\"");
            let (_, rest) = form.split_once(&start).expect("a field");
            let (text, _) = rest.split_once('"').expect("its end");
            text.replace("&#34;", "\"").replace("&#38;", "&")
        };
        let action = format!("/ui/review?{}", query.replace("&#38;", "&"));
        let (token, was) = (field("token"), field("was"));
        let fields = [("token", &*token), ("result", "confirmed"), ("was", &was)];
        let answer = self.post(&action, &fields).await;
        assert_eq!(answer.status(), 303);
        let mut told = cookies(&answer);
        let told = told.find(|cookie| cookie.starts_with("weldfleet_said="));
        let told = told.expect("it is told");
        let mut told = form_urlencoded::parse(told.as_bytes());
        told.next().expect("its text").1.into_owned()
    }
}

fn cookies(answer: &Response) -> impl Iterator<Item = String> {
    let all = answer.headers().get_all("set-cookie").iter();
    all.filter_map(|cookie| Some(cookie.to_str().ok()?.split(';').next()?.to_owned()))
}

#[tokio::test(flavor = "multi_thread")]
async fn each_command_in_redis_is_needed() {
    let plant = Plant::start().await;
    let fleet = &plant.fleet;
    let told = |words: &[&str]| -> String { words.iter().map(|word| format!("{word} ")).collect() };
    let mut needless = Vec::new();
    for (account, rules) in &plant.redis {
        for (rule, others) in without_each(rules) {
            set_user(fleet, account, &others).await;
            let _: () = fleet.queue.command(&["ACL", "LOG", "RESET"]).await;
            // A server that knows no script yet is sent each, once.
            let _: () = fleet.queue.command(&["SCRIPT", "FLUSH"]).await;
            let said = plant.redis_refusal(account).await;
            let family: Vec<String> = match rule.strip_prefix('@') {
                Some(family) => fleet.queue.command(&["ACL", "CAT", family]).await,
                None => vec![rule.clone()],
            };
            let refused = refused(fleet, account).await;
            if !refused.iter().any(|command| family.contains(command)) {
                needless.push(format!(
                    "{account} without {rule} is refused {refused:?}:\n{said}"
                ));
            }
        }
        set_user(fleet, account, rules).await;
    }
    assert!(needless.is_empty(), "{}", needless.join("\n"));
    // The console's account may look, and try whether Redis takes writes.
    let probe = &["SET", "weldfleet:{infer}:probe", "x"][..];
    for (words, account, allowed) in [
        (&["HGETALL", "weldfleet:{infer}:meta"][..], CONSOLE, true),
        (probe, CONSOLE, true),
        (&["SET", "weldfleet:{infer}:paused", "x"], CONSOLE, false),
        // Another queue, and what destroys, are nobody's.
        (&["SET", "weldfleet:{other}:paused", "x"], WORKER, false),
        (&["FLUSHALL"], SCHEDULER, false),
        (&["CONFIG", "GET", "requirepass"], SCHEDULER, false),
        (&["FUNCTION", "FLUSH"], WORKER, false),
        (&["SCRIPT", "FLUSH"], CONSOLE, false),
        (&["KEYS", "*"], SCHEDULER, false),
    ] {
        let mut dry = vec!["ACL", "DRYRUN", account];
        dry.extend(words);
        let said: String = fleet.queue.command(&dry).await;
        assert_eq!(said == "OK", allowed, "{account} {}: {said}", told(words));
    }
}

/// Each command and family that is allowed, with the rules that do not allow it. A right to one of a family's commands
/// may come from another family too, so it is forbidden.
fn without_each(rules: &[String]) -> Vec<(String, Vec<String>)> {
    let mut all = Vec::new();
    for (place, rule) in rules.iter().enumerate() {
        if let Some(given) = rule.strip_prefix('+') {
            let forbidden = [rules, &[format!("-{given}")]].concat();
            all.push((given.to_owned(), forbidden));
        }
        // A selector, which allows something for a key of its own.
        let words = rule.trim_matches(['(', ')']).split(' ');
        let given = words.filter_map(|word| word.strip_prefix('+'));
        for given in given.filter(|_| rule.starts_with('(')) {
            let mut others = rules.to_vec();
            others[place] = rule.replace(&format!(" +{given}"), "");
            all.push((given.to_owned(), others));
        }
    }
    all
}

/// Commands that Redis has refused an account, in scripts too.
async fn refused(fleet: &Fleet, account: &str) -> BTreeSet<String> {
    type Entry = BTreeMap<String, redis::Value>;
    let entries: Vec<Entry> = fleet.queue.command(&["ACL", "LOG", "128"]).await;
    let text = |entry: &Entry, name: &str| match &entry[name] {
        redis::Value::BulkString(bytes) => String::from_utf8_lossy(bytes).to_lowercase(),
        other => panic!("{name}: {other:?}"),
    };
    entries
        .iter()
        .filter(|entry| text(entry, "username") == account && text(entry, "reason") == "command")
        .map(|entry| text(entry, "object"))
        .collect()
}

/// One `GRANT … ON … TO …`.
#[derive(Debug, Clone)]
struct Grant {
    what: String,
    on: String,
    to: String,
    account: String,
}

impl Grant {
    fn of(line: &str) -> Self {
        let text = line.split("; -- ").next().expect("a statement");
        let (what, rest) = text["GRANT ".len()..].split_once(" ON ").expect("ON");
        let (on, to) = rest.split_once(" TO ").expect("TO");
        Self {
            what: what.to_owned(),
            on: on.to_owned(),
            to: to.to_owned(),
            account: to
                .trim_matches('\'')
                .split('\'')
                .next()
                .expect("a name")
                .to_owned(),
        }
    }

    fn statement(&self) -> String {
        format!("GRANT {} ON {} TO {}", self.what, self.on, self.to)
    }

    fn revocation(&self) -> String {
        format!("REVOKE {} ON {} FROM {}", self.what, self.on, self.to)
    }

    fn verb(&self) -> &str {
        self.what.split(' ').next().expect("a word")
    }

    /// Whether it is needed to see and write reviews, and for nothing else.
    fn is_of_reviews(&self) -> bool {
        self.account == CONSOLE || self.what.contains("review_note")
    }

    fn is(&self, account: &str, what: &str, table: &str) -> bool {
        let name = self
            .on
            .rsplit('.')
            .next()
            .expect("a table")
            .trim_matches('`');
        self.account == account && self.what == what && name == table
    }
}

struct Plant {
    fleet: Fleet,
    printed: String,
    clickhouse: Vec<Grant>,
    mysql: Vec<Grant>,
    redis: Vec<(String, Vec<String>)>,
}

impl Plant {
    /// A migrated plant whose stores have the accounts that are printed.
    async fn start() -> Self {
        let mut fleet = Fleet::start().await;
        fleet.set("model.enabled", "false");
        fleet.migrate();
        let printed = fleet.succeed("scheduler", &["migrate", "--grants"]);
        assert!(!printed.contains("weld:weld"), "{printed}");
        let printed = ACCOUNTS.iter().fold(printed, |text, account| {
            let word = format!("PASSWORD_OF_{}", account.to_uppercase());
            assert!(text.contains(&word), "{text}");
            text.replace(&word, PASSWORD)
        });
        let (clickhouse, rest) = printed.split_once("-- MySQL\n").expect("MySQL");
        let (mysql, redis) = rest.split_once("# Redis").expect("Redis");
        let grants = |part: &str| -> Vec<Grant> {
            part.lines()
                .filter(|line| line.starts_with("GRANT "))
                .map(Grant::of)
                .collect()
        };
        let plant = Self {
            clickhouse: grants(clickhouse),
            mysql: grants(mysql),
            redis: redis
                .lines()
                .filter_map(|line| line.strip_prefix("ACL SETUSER "))
                .map(|line| {
                    let (line, selector) = match line.split_once(" \"(") {
                        Some((line, rest)) => {
                            (line, Some(format!("({}", rest.trim_end_matches('"'))))
                        }
                        None => (line, None),
                    };
                    // As a shell and `redis-cli` take what is quoted.
                    let mut words = line
                        .split(' ')
                        .map(|word| word.trim_matches('"').to_owned());
                    let account = words.next().expect("a name");
                    (account, words.chain(selector).collect())
                })
                .collect(),
            printed: printed.clone(),
            fleet,
        };
        plant.give_clickhouse(clickhouse);
        let root = plant.root();
        for line in mysql.lines().filter(|line| line.contains(';')) {
            root.execute(
                line.split("; -- ")
                    .next()
                    .expect("a statement")
                    .trim_end_matches(';'),
            )
            .await;
        }
        for (account, rules) in &plant.redis {
            set_user(&plant.fleet, account, rules).await;
        }
        plant
    }

    /// Which of ClickHouse's grants it is.
    fn place_of(&self, account: &str, what: &str, table: &str) -> usize {
        let mut grants = self.clickhouse.iter();
        grants
            .position(|grant| grant.is(account, what, table))
            .unwrap_or_else(|| panic!("{account} {what} {table} is not printed"))
    }

    fn lines(&self, start: &str, on: &str) -> Vec<String> {
        let (clickhouse, _) = self.printed.split_once("-- MySQL\n").expect("MySQL");
        let lines = clickhouse.lines();
        lines
            .filter(|line| line.starts_with(start) && line.contains(&format!(" ON {on}")))
            .map(str::to_owned)
            .collect()
    }

    /// The accounts, and for the n-th grant an account `<account>_<n>` that has all the others.
    fn give_clickhouse(&self, printed: &str) {
        let mut users = String::new();
        let mut add = |name: &str, account: &str, without: Option<usize>| {
            let mut grants = String::new();
            for (place, grant) in self.clickhouse.iter().enumerate() {
                if grant.account == account && Some(place) != without {
                    let _ = write!(
                        grants,
                        "<query>GRANT {} ON {}</query>",
                        grant.what, grant.on
                    );
                }
            }
            let profile = if account == CONSOLE {
                "console"
            } else {
                "default"
            };
            let _ = writeln!(
                users,
                "<{name}><password>{PASSWORD}</password><networks><ip>::/0</ip></networks><profile>{profile}</profile>\
                 <quota>default</quota><grants>{grants}</grants></{name}>"
            );
        };
        for account in ACCOUNTS {
            add(account, account, None);
        }
        for (place, grant) in self.clickhouse.iter().enumerate() {
            add(
                &format!("{}_{place}", grant.account),
                &grant.account,
                Some(place),
            );
        }
        let profile = profile_of(printed);
        self.fleet.change_accounts(|before| {
            before
                .replace("</users>", &format!("{users}</users>"))
                .replace(
                    "<profiles>",
                    &format!("<profiles><console>{profile}</console>"),
                )
        });
    }

    fn root(&self) -> MySql {
        let port = self.fleet.services.port(Service::MySql);
        MySql::new(&format!("mysql://root:root@127.0.0.1:{port}/mysql"))
    }

    fn mysql_url(&self, account: &str) -> String {
        let port = self.fleet.services.port(Service::MySql);
        format!("mysql://{account}:{PASSWORD}@127.0.0.1:{port}/weld")
    }

    /// A command under an account of every store; the suffix of one that misses something is ClickHouse's alone.
    fn command(&self, account: &str, binary: &str, arguments: &[&str]) -> Command {
        let base = ACCOUNTS
            .into_iter()
            .find(|base| account.starts_with(base))
            .expect("an account");
        let mut command = self.fleet.command(binary, arguments);
        let redis = self.fleet.services.port(Service::Redis);
        command
            .env("WELDFLEET__CLICKHOUSE__USER", account)
            .env("WELDFLEET__CLICKHOUSE__PASSWORD", PASSWORD)
            .env(
                "WELDFLEET__REDIS__URL",
                format!("redis://{base}:{PASSWORD}@127.0.0.1:{redis}/0"),
            )
            .env("WELDFLEET__MYSQL__URL", self.mysql_url(base));
        command
    }

    fn run(&self, account: &str, binary: &str, arguments: &[&str]) -> (bool, String) {
        said(self.command(account, binary, arguments))
    }

    /// All but MySQL as whom it may do anything.
    fn run_mysql(&self, account: &str, binary: &str, arguments: &[&str]) -> (bool, String) {
        let mut command = self.fleet.command(binary, arguments);
        command.env("WELDFLEET__MYSQL__URL", self.mysql_url(account));
        said(command)
    }

    /// A scheduler whose console asks ClickHouse by this account.
    fn scheduler_and_console(&self, console: &str) -> Process {
        let mut command = self.command(SCHEDULER, "scheduler", &["run", "--log-format", "json"]);
        command
            .env("WELDFLEET__CLICKHOUSE__CONSOLE_USER", console)
            .env("WELDFLEET__CLICKHOUSE__CONSOLE_PASSWORD", PASSWORD);
        Process::start(command, self.fleet.folder())
    }

    fn scheduler_with_mysql_of(&self, account: &str) -> Process {
        let mut command = self.command(SCHEDULER, "scheduler", &["run", "--log-format", "json"]);
        command.env("WELDFLEET__MYSQL__URL", self.mysql_url(account));
        Process::start(command, self.fleet.folder())
    }

    fn process(&self, account: &str, binary: &str) -> Process {
        let command = self.command(account, binary, &["run", "--log-format", "json"]);
        Process::start(command, self.fleet.folder())
    }

    /// What a step says.
    async fn tried(&self, step: Step, account: &str) -> String {
        let pending = self.fleet.queue.ids("pending").await;
        let job = pending.first().cloned().unwrap_or_default();
        let arguments: &[&str] = match step {
            Step::Check => return self.run(account, "worker", &["check"]).1,
            Step::EventsPage | Step::WeldPage => {
                let daemon = match account.starts_with(CONSOLE) {
                    true => self.scheduler_and_console(account),
                    false => self.process(account, "scheduler"),
                };
                let weld = format!("/ui/weld?day={PAST}&id=1&attempts=1");
                let page = match step {
                    Step::WeldPage => &weld,
                    _ => "/ui/events",
                };
                return daemon.get(page).await.1;
            }
            Step::Status | Step::FreeDisk => &["status", "--json"],
            Step::Backfill => &["backfill", "--from", PAST, "--to", PAST, "--force"],
            Step::DropJob => &["jobs", "drop", &job],
            Step::Settle => &["settle", "--from", PAST, "--to", PAST],
            Step::Pause => &["pause", "--reason", "shown"],
        };
        self.run(account, "scheduler", arguments).1
    }

    /// What is said somewhere in a day without a command: by a check, or by a pass and a worker; of the console's
    /// account by what shows something.
    async fn redis_refusal(&self, account: &str) -> String {
        let base = |binary: &str, arguments: &[&str]| {
            let mut command = self.fleet.command(binary, arguments);
            let redis = self.fleet.services.port(Service::Redis);
            command.env(
                "WELDFLEET__REDIS__URL",
                format!("redis://{account}:{PASSWORD}@127.0.0.1:{redis}/0"),
            );
            command
        };
        if account == CONSOLE {
            let shown = [&["status"][..], &["jobs", "list"]];
            let said = shown.map(|arguments| said(base("scheduler", arguments)).1);
            return said.concat();
        }
        let signs = [
            "NOPERM",
            "no permissions",
            "cannot be read (",
            "ACL failure",
        ];
        for (binary, arguments) in [("worker", &["check"][..]), ("scheduler", &["jobs", "list"])] {
            let (_, said) = said(base(binary, arguments));
            if signs.iter().any(|sign| said.contains(sign)) {
                return said;
            }
        }
        self.fleet.simulate("today", 1200, &[]);
        let run = ["run", "--log-format", "json"];
        let running = [("scheduler", &run), ("worker", &run)]
            .map(|(binary, run)| Process::start(base(binary, run), self.fleet.folder()));
        eventually("a refusal is logged", SOON, async || {
            let logs = running.iter().map(Process::log).collect::<String>();
            signs.iter().any(|sign| logs.contains(sign)).then_some(logs)
        })
        .await
    }
}

fn said(mut command: Command) -> (bool, String) {
    let output = command.output().expect("runs");
    (output.status.success(), all_of(&output))
}

async fn set_user(fleet: &Fleet, account: &str, rules: &[String]) {
    let mut words = vec!["ACL", "SETUSER", account];
    words.extend(rules.iter().map(String::as_str));
    let _: () = fleet.queue.command(&words).await;
}

/// `CREATE SETTINGS PROFILE … SETTINGS a = 1, b = 2 MIN 1 MAX 2 TO …` as the engine's file has it.
fn profile_of(printed: &str) -> String {
    let line = printed
        .lines()
        .find(|line| line.contains("SETTINGS PROFILE"))
        .expect("a profile");
    let (_, rest) = line
        .split_once(" SETTINGS ")
        .and_then(|_| line.rsplit_once(" SETTINGS "))
        .expect("settings");
    let settings = rest.split(" TO ").next().expect("an account");
    let (mut values, mut limits) = (String::new(), BTreeMap::new());
    for setting in settings.split(", ") {
        let words: Vec<&str> = setting.split(' ').collect();
        let _ = write!(values, "<{0}>{1}</{0}>", words[0], words[2]);
        if let [_, _, _, "MIN", least, "MAX", most] = words[..] {
            limits.insert(words[0], format!("<min>{least}</min><max>{most}</max>"));
        }
    }
    let limits: String = limits
        .iter()
        .map(|(name, text)| format!("<{name}>{text}</{name}>"))
        .collect();
    format!("{values}<constraints>{limits}</constraints>")
}
