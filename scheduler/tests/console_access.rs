//! Who may do what in the console: each route, each role, each attack.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod common;

use common::{
    SOON,
    console::{PASSWORD, Plant, ROLES, said},
    ids, lease,
};
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpStream,
    time::timeout,
};
use weldfleet_queue::{Settlement, State};
use weldfleet_tests::{Service, eventually};

/// What changes something, and the least role that may.
const CHANGES: [(&str, &str); 7] = [
    ("/ui/review", "reviewer"),
    ("/ui/review/undo", "reviewer"),
    ("/ui/pause", "operator"),
    ("/ui/resume", "operator"),
    ("/ui/backfills/change", "operator"),
    ("/ui/jobs/change", "operator"),
    ("/ui/sign-out", "viewer"),
];
const PAGES: [&str; 20] = [
    "/ui/days.csv",
    "/ui/backfills.csv",
    "/ui/workers.csv",
    "/ui/jobs.csv",
    "/ui/events.csv",
    "/ui/nok.csv?day=20261101",
    "/ui/pareto.csv?day=20261101",
    "/ui/shares.csv",
    "/ui/hits.csv?day=20261101&id=1",
    "/ui/attempts.csv?day=20261101&id=1",
    "/ui/next?day=20261101",
    "/ui",
    "/ui/backfills",
    "/ui/workers",
    "/ui/jobs",
    "/ui/nok",
    "/ui/weld?day=20261101&id=1",
    "/ui/events",
    "/ui/events?before=1.1",
    "/ui/changes",
];

#[tokio::test]
async fn each_route_takes_each_role_and_no_attack() {
    let plant = Plant::start(&[]).await;
    let stranger = plant.stranger();
    for page in PAGES {
        let answer = stranger.get(page).await;
        assert_eq!(answer.status(), 303, "{page}");
        let to = answer.headers()["location"].to_str().unwrap();
        assert!(to.starts_with("/ui/sign-in?next="), "{to}");
    }
    for open in ["/ui/sign-in", "/ui/style.css", "/ui/live.js"] {
        assert_eq!(stranger.get(open).await.status(), 200, "{open}");
    }
    for (route, _) in CHANGES {
        assert_eq!(stranger.post(route, &[]).await.status(), 401, "{route}");
    }

    for role in ROLES {
        let browser = plant.signed_in(role).await;
        // Of the same user, in another browser.
        let other = plant.signed_in(role).await;
        assert_ne!(other.token, browser.token);
        for page in PAGES {
            let status = match page {
                // The next of none is the list.
                next if next.contains("/next") => 303,
                of_no_weld if of_no_weld.contains(".csv") && of_no_weld.contains("id=") => 404,
                _ => 200,
            };
            assert_eq!(browser.get(page).await.status(), status, "{role} {page}");
        }
        for (route, least) in CHANGES {
            let may = rank(role) >= rank(least);
            let changes: &[&str] = match route {
                "/ui/jobs/change" => &["retry", "drop"],
                "/ui/backfills/change" => &["hold", "resume", "oldest", "newest", "cancel"],
                _ => &[""],
            };
            for change in changes {
                let fields = [
                    ("run", "1"),
                    ("change", *change),
                    ("reason", "a test"),
                    ("result", "confirmed"),
                    ("was", "nothing"),
                    ("of", "nothing"),
                ];
                let (url, token) = (plant.base.as_str(), ("token", browser.token.as_str()));
                let attacks = [
                    (
                        "no token",
                        browser.form(route, &fields).header("origin", url),
                    ),
                    (
                        "another session's token",
                        browser
                            .form(route, &[("token", &*other.token), fields[0]])
                            .header("origin", url),
                    ),
                    ("no origin", browser.form(route, &[token, fields[0]])),
                    (
                        "another origin",
                        browser
                            .form(route, &[token, fields[0]])
                            .header("origin", "http://evil.example"),
                    ),
                ];
                for (attack, request) in attacks {
                    let status = request.send().await.unwrap().status();
                    assert_eq!(status, 403, "{role} {route} {attack}");
                }
                let looked = browser.get(route).await.status();
                assert!(looked.is_client_error(), "{role} GET {route}: {looked}");
                let answer = browser.post(route, &fields).await;
                let status = if may { 303 } else { 403 };
                assert_eq!(answer.status(), status, "{role} {route} {change}");
            }
        }
    }

    let mut forged = plant.signed_in("viewer").await;
    let own = forged.cookie.clone();
    forged.cookie = own.replace("viewer", "operator");
    assert_ne!(forged.cookie, own);
    assert_eq!(forged.post("/ui/pause", &[]).await.status(), 401);
    assert!(!plant.paused(), "the last that was done is a resume");
}

fn rank(role: &str) -> usize {
    ROLES.iter().position(|known| *known == role).unwrap()
}

#[tokio::test]
async fn without_users_nothing_can_be_changed() {
    let fleet = weldfleet_tests::Fleet::start().await;
    fleet.migrate();
    let scheduler = fleet.scheduler();
    scheduler.ready().await;
    let base = scheduler.http().await;
    for (route, _) in CHANGES {
        let request = reqwest::Client::new().post(format!("{base}{route}"));
        let request = request
            .header("origin", &base)
            .body("token=&change=cancel&run=1");
        let answer = request
            .header("content-type", "application/x-www-form-urlencoded")
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), 403, "{route}");
        let why = answer.text().await.unwrap();
        assert!(why.contains("console.users_file"), "{route}: {why}");
    }
    assert!(fleet.status()["paused"].is_null());
}

#[tokio::test]
async fn what_is_done_is_done_by_a_name_and_kept() {
    let plant = Plant::start(&[]).await;
    let mut browser = plant.signed_in("operator").await;
    let answer = browser
        .post("/ui/pause?lang=en", &[("reason", "tip dress on line 3")])
        .await;
    assert_eq!(answer.status(), 303);
    let session = browser.cookie.clone();
    browser.keep_cookie(&answer);
    browser.cookie = format!("{session}; {}", browser.cookie);
    let told = browser.get("/ui").await;
    let cleared = told.headers()["set-cookie"].to_str().unwrap().to_owned();
    assert!(cleared.starts_with("weldfleet_said=;"), "{cleared}");
    let html = told.text().await.unwrap();
    assert!(html.contains("nothing new is claimed"), "{html}");
    assert!(plant.paused());

    eventually("the pause is shown with its name", SOON, async || {
        let html = browser.get("/ui").await.text().await.unwrap();
        (html.contains("paused by operator: tip dress on line 3") && html.contains("/ui/resume"))
            .then_some(())
    })
    .await;
    assert_eq!(browser.post("/ui/resume", &[]).await.status(), 303);
    let events = browser.get("/ui/events").await.text().await.unwrap();
    for part in [
        "tip dress on line 3",
        "was paused by operator",
        "users add",
        "user viewer",
    ] {
        assert!(events.contains(part), "{part}: {events}");
    }
}

#[tokio::test]
async fn exactly_the_jobs_that_are_shown_are_retried_or_dropped() {
    let plant = Plant::start(&[]).await;
    let (hands, run) = plant.backfilled().await;
    let mut dead = hands.claim(3).await;
    for job in &dead {
        let lease = lease(job);
        let buried = hands
            .queue
            .settle(&lease, Settlement::bury("the model file is gone"))
            .await;
        buried.unwrap();
    }
    let (dropped, retried) = (dead.remove(0).id, dead.remove(0).id);

    let browser = plant.signed_in("operator").await;
    let shown = eventually("the dead jobs are shown", SOON, async || {
        let html = browser.get("/ui/jobs").await.text().await.unwrap();
        (html.matches("name=\"id\"").count() == 3).then_some(html)
    })
    .await;
    assert!(shown.contains("the model file is gone"), "{shown}");
    for (change, id) in [("drop", &dropped), ("retry", &retried)] {
        let fields = [("change", change), ("id", id), ("reason", "a test")];
        let answer = browser.post("/ui/jobs/change?lang=en", &fields).await;
        assert_eq!(answer.status(), 303);
    }
    eventually("the run for a spreadsheet, not rounded", SOON, async || {
        let csv = browser.get("/ui/backfills.csv").await.text().await.unwrap();
        csv.contains(&format!("\n'{run},")).then_some(())
    })
    .await;
    let states = async |id: &str| hands.queue.get(id).await.unwrap().map(|job| job.state);
    assert_eq!(states(&retried).await, Some(State::Pending));
    assert_eq!(states(&dropped).await, None);
    // A page from before the retry shows it as dead still.
    let why = ("reason", "a test");
    let old_page = [("change", "drop"), ("id", &*retried), why];
    let answer = browser.post("/ui/jobs/change?lang=en", &old_page).await;
    assert!(
        said(&answer).contains("is pending, not dead"),
        "{}",
        said(&answer)
    );
    assert_eq!(states(&retried).await, Some(State::Pending));
    let left = hands.queue.list(State::Dead, 0, 10).await.unwrap().jobs;
    assert_eq!(ids(&left), ids(&dead), "the third was not asked for");
    let marked = "spot_records WHERE alg_status = 'invalid' AND alg_error = 'dropped'";
    assert_eq!(plant.fleet.clickhouse.count(marked).await, 1000);

    // What is gone by then is said, and more than ten are not touched without their number.
    let gone = [("change", "retry"), ("id", &*dropped), why];
    let answer = browser.post("/ui/jobs/change?lang=en", &gone).await;
    assert!(
        said(&answer).contains("1 are gone already"),
        "{}",
        said(&answer)
    );
    let third = dead[0].id.as_str();
    let mut many = vec![("change", "retry"), why];
    many.extend([("id", third); 11]);
    let answer = browser.post("/ui/jobs/change?lang=en", &many).await;
    assert!(said(&answer).contains("type how many"), "{}", said(&answer));
    assert_eq!(states(third).await, Some(State::Dead));

    for (change, state) in [
        ("newest", "goes from the newest day"),
        ("hold", "held"),
        ("oldest", "goes from the oldest day"),
        ("cancel", "cancelled"),
    ] {
        let fields = [("run", &*run), ("change", change), ("reason", "a test")];
        let answer = browser.post("/ui/backfills/change?lang=en", &fields).await;
        assert!(said(&answer).contains(state), "{}", said(&answer));
    }
    let status = plant.fleet.status();
    assert_eq!(status["runs"][0]["state"], "cancelled", "{status}");
    assert_eq!(status["runs"][0]["changed_by"], "operator");
    let told = "weld_events WHERE what = 'backfill order' AND who = 'operator' AND why = 'a test'";
    assert_eq!(plant.fleet.clickhouse.count(told).await, 2);
}

#[tokio::test]
async fn nothing_is_done_without_a_reason_nor_is_one_cut() {
    let plant = Plant::start(&[]).await;
    let (hands, run) = plant.backfilled().await;
    let browser = plant.signed_in("operator").await;
    let long = "修".repeat(256);
    for (reason, refusal) in [
        ("", "say why"),
        (" \t", "say why"),
        (&*long, "more than 255"),
    ] {
        for (path, more) in [
            ("/ui/pause", &[][..]),
            (
                "/ui/backfills/change",
                &[("run", &*run), ("change", "cancel")],
            ),
            ("/ui/jobs/change", &[("change", "drop"), ("id", "nobody")]),
        ] {
            let mut fields = vec![("reason", reason)];
            fields.extend(more);
            let answer = browser.post(&format!("{path}?lang=en"), &fields).await;
            let said = said(&answer);
            assert!(said.contains(refusal), "{path} {reason:?}: {said}");
        }
    }
    assert!(hands.queue.paused().await.unwrap().is_none());
    assert_eq!(plant.fleet.status()["runs"][0]["state"], "open");
    let whole = "修".repeat(255);
    let answer = browser.post("/ui/pause", &[("reason", &whole)]).await;
    assert_eq!(answer.status(), 303);
    let pause = hands.queue.paused().await.unwrap().unwrap();
    assert_eq!(pause.reason, whole);
    // Whoever lets it go on need not say why.
    browser.post("/ui/resume", &[]).await;
    assert!(hands.queue.paused().await.unwrap().is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clickhouse_that_hangs_holds_nobody_for_long() {
    let plant = Plant::start(&[]).await;
    let (hands, run) = plant.backfilled().await;
    let browser = plant.signed_in("operator").await;
    plant.fleet.services.pause(Service::ClickHouse);
    let why = ("reason", "a test");
    // Redis has the pause; nobody knows whether ClickHouse will have the event.
    let fields = [why];
    let pausing = browser.post("/ui/pause?lang=en", &fields);
    let told = said(&timeout(SOON / 3, pausing).await.unwrap());
    assert!(told.contains("not known whether it is kept"), "{told}");
    assert!(hands.queue.paused().await.unwrap().is_some());
    let fields = [("run", &*run), ("change", "cancel"), why];
    let cancelling = browser.post("/ui/backfills/change?lang=en", &fields);
    let told = said(&timeout(SOON / 2, cancelling).await.unwrap());
    let silent = |told: &str| told.contains("clickhouse: ") && told.contains("no answer for");
    assert!(silent(&told), "{told}");
    for page in ["/ui/events", "/ui/nok"] {
        let address = format!("{page}?lang=en");
        let html = timeout(SOON / 2, browser.get(&address)).await.unwrap();
        let html = html.text().await.unwrap();
        assert!(silent(&html), "{page}: {html}");
    }
    plant.fleet.services.cont(Service::ClickHouse);
}

/// Each job that is dropped is an UPDATE: a thousand take minutes, and people close tabs.
#[tokio::test]
async fn what_has_begun_goes_on_where_the_browser_hangs_up() {
    const JOBS: u32 = 12;
    let plant = Plant::start(&[("scheduler.batch_size", "250")]).await;
    let (hands, _) = plant.backfilled().await;
    let dead = hands.claim(JOBS).await;
    for job in &dead {
        hands
            .queue
            .settle(&lease(job), Settlement::bury("no such column"))
            .await
            .unwrap();
    }
    let browser = plant.signed_in("operator").await;
    let count = JOBS.to_string();
    let mut fields = vec![
        ("token", browser.token.as_str()),
        ("change", "drop"),
        ("reason", "a test"),
        ("count", &count),
    ];
    fields.extend(dead.iter().map(|job| ("id", job.id.as_str())));
    let request = browser.form("/ui/jobs/change", &fields);
    let request = request.header("origin", &plant.base);
    let asking = tokio::spawn(request.send());
    let told = "weld_events WHERE what = 'jobs drop' AND who = 'operator' AND why = 'a test'";
    let told = async || plant.fleet.clickhouse.count(told).await;
    eventually("the first is dropped and told", SOON, async || {
        (told().await > 0).then_some(())
    })
    .await;
    asking.abort();
    let left = async || hands.queue.stats().await.unwrap().count(State::Dead);
    let unfinished = left().await;
    assert!(unfinished > 1, "it was over before the browser hung up");
    eventually("all are dropped and told", SOON, async || {
        (left().await == 0 && told().await == u64::from(JOBS)).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_wrong_password_a_removed_user_and_another_password_let_nobody_in() {
    let plant = Plant::start(&[]).await;
    let stranger = plant.stranger();
    let viewer = plant.signed_in("viewer").await;
    let reviewer = plant.signed_in("reviewer").await;
    for (name, password) in [("viewer", "wrong password"), ("nobody", PASSWORD), ("", "")] {
        assert_eq!(
            stranger.sign_in(name, password).await.status(),
            401,
            "{name}"
        );
    }
    // Five wrong ones in a row, and the right one has to wait too.
    for _ in 0..5 {
        stranger.sign_in("operator", "wrong password").await;
    }
    assert_eq!(stranger.sign_in("operator", PASSWORD).await.status(), 429);

    // Another role holds at the next click.
    let role = |role: &str| {
        let args = ["users", "role", "reviewer", role];
        plant.fleet.succeed("scheduler", &args);
    };
    assert_eq!(reviewer.post("/ui/resume", &[]).await.status(), 403);
    role("operator");
    assert_eq!(reviewer.post("/ui/resume", &[]).await.status(), 303);
    role("viewer");
    assert_eq!(reviewer.post("/ui/resume", &[]).await.status(), 403);
    assert_eq!(reviewer.post("/ui/review", &[]).await.status(), 403);

    plant
        .fleet
        .succeed("scheduler", &["users", "remove", "viewer"]);
    assert_eq!(viewer.get("/ui").await.status(), 303, "signed out");
    plant.fleet.succeed(
        "scheduler",
        &["users", "password", "reviewer", "--no-password"],
    );
    assert_eq!(reviewer.get("/ui").await.status(), 303, "signed out");
    assert_eq!(stranger.sign_in("reviewer", PASSWORD).await.status(), 401);
}

/// What is answered to a request that is sent as it is here; it need not be whole.
async fn answered(plant: &Plant, request: &str) -> String {
    let address = plant.base.trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).await.unwrap();
    line
}

#[tokio::test]
async fn a_form_is_read_only_of_whom_may_send_it_and_no_more_than_it_needs() {
    let plant = Plant::start(&[]).await;
    let post = |path: &str, origin: &str| {
        let host = plant.base.trim_start_matches("http://");
        format!(
            "POST {path} HTTP/1.1\r\nHost: {host}\r\nOrigin: {origin}\r\nContent-Length: 100\r\n\
             Content-Type: application/x-www-form-urlencoded\r\n\r\nname=li"
        )
    };
    // The rest of it never comes.
    let evil = "http://evil.example";
    for (request, status) in [
        (post("/ui/sign-in", evil), " 403 "),
        (post("/ui/pause", &plant.base), " 401 "),
    ] {
        let said = timeout(SOON / 3, answered(&plant, &request)).await.unwrap();
        assert!(said.contains(status), "{said}");
    }
    let stranger = plant.stranger();
    let long = stranger.sign_in("li", &"p".repeat(9000)).await;
    assert_eq!(long.status(), 413);
    // A password in the wrong place is in no log.
    let slipped = stranger.sign_in("hunter2 hunter2", "li").await;
    assert_eq!(slipped.status(), 401);
    assert_eq!(
        stranger.sign_in("viewer", "wrong password").await.status(),
        401
    );
    plant.scheduler.logged("an unknown name", SOON).await;
    plant.scheduler.logged("\"viewer\"", SOON).await;
    assert!(!plant.scheduler.log().contains("hunter2"));
}

/// What needs no user tells whoever asks how it goes, not what people are called and have written.
#[tokio::test]
async fn what_people_have_written_is_told_to_whom_has_signed_in() {
    let plant = Plant::start(&[]).await;
    let day = common::day_before(3);
    plant.fleet.simulate(&day, 100, &[]);
    let note = ["--note", "the secret line 3", "--json"];
    let range = ["backfill", "--from", &day, "--to", &day];
    let asked = [&range[..], &note].concat();
    let asked: Value = serde_json::from_str(&plant.fleet.succeed("scheduler", &asked)).unwrap();
    let run = asked["run"].to_string();
    let hold = ["backfill", "hold", &run, "--reason", "the secret order"];
    plant.fleet.succeed("scheduler", &hold);
    let pause = ["pause", "--reason", "the secret reason"];
    plant.fleet.succeed("scheduler", &pause);
    let viewer = plant.signed_in("viewer").await;
    let known = eventually("both are told", SOON, async || {
        let text = viewer.get("/api/v1/status").await.text().await.unwrap();
        let told = text.contains("the secret reason") && text.contains("the secret order");
        told.then_some(text)
    })
    .await;
    assert!(known.contains("the secret line 3"), "{known}");
    let stranger = plant.stranger();
    let told = async |path: &str| stranger.get(path).await.text().await.unwrap();
    eventually("the pause is told to everybody", SOON, async || {
        let all = [told("/").await, told("/readyz").await].concat();
        (all.matches("\"paused\"").count() >= 2).then_some(())
    })
    .await;
    for path in ["/api/v1/status", "/readyz", "/", "/metrics", "/sd"] {
        let text = told(path).await;
        assert!(!text.contains("secret"), "{path}: {text}");
    }
    let status: Value = serde_json::from_str(&told("/api/v1/status").await).unwrap();
    let causes = status["causes"].as_array().unwrap();
    let paused = causes.iter().find(|cause| cause["code"] == "paused");
    assert_eq!(paused.unwrap()["what"]["en"], "paused", "{status}");
    assert!(status["paused"]["since"].is_number(), "{status}");
    assert_eq!(status["runs"][0]["state"], "held", "{status}");
    assert!(status["runs"][0].get("by").is_none(), "{status}");

    // On loopback no other site's page reads any of it.
    for path in ["/api/v1/status", "/readyz", "/", "/metrics", "/sd"] {
        let request = stranger.client.get(format!("{}{path}", plant.base));
        let answer = request.header("host", "evil.example").send().await;
        assert_eq!(answer.unwrap().status(), 403, "{path}");
    }
}

#[tokio::test]
async fn a_trusted_proxy_says_who_it_is() {
    let proxies = "[\"127.0.0.1\"]";
    let plant = Plant::start(&[("console.trusted_proxies", proxies)]).await;
    let asked = async |name: &str| {
        let request = plant.stranger().client.get(format!("{}/ui", plant.base));
        request
            .header("x-forwarded-user", name)
            .send()
            .await
            .unwrap()
    };
    let mut browser = plant.stranger();
    let answer = asked("operator").await;
    assert_eq!(answer.status(), 200);
    browser.keep_cookie(&answer);
    let html = answer.text().await.unwrap();
    assert!(
        html.contains("operator (operator)") && !html.contains("Sign out"),
        "{html}"
    );
    let unknown = asked("mallory").await;
    assert_eq!(unknown.status(), 403);
    let why = unknown.text().await.unwrap();
    assert!(
        why.contains("`mallory`") && why.contains("scheduler users add"),
        "{why}"
    );

    // Behind the proxy the browser's address is another one.
    browser.token = html
        .split_once("name=\"token\" value=\"")
        .and_then(|(_, rest)| rest.split('"').next())
        .unwrap()
        .to_owned();
    let token = [("token", browser.token.as_str()), ("reason", "a test")];
    // From another address the header says nothing.
    let elsewhere = Plant::start(&[("console.trusted_proxies", "[\"127.0.0.9\"]")]).await;
    let request = elsewhere
        .stranger()
        .client
        .get(format!("{}/ui", elsewhere.base));
    let answer = request.header("x-forwarded-user", "operator").send().await;
    assert_eq!(answer.unwrap().status(), 303, "to sign in");

    let change = |host: &'static str| {
        browser
            .form("/ui/pause", &token)
            .header("x-forwarded-user", "operator")
            .header("x-forwarded-host", host)
            .header("origin", "https://weld.plant")
    };
    assert_eq!(change("evil.example").send().await.unwrap().status(), 403);
    // Its word is needed each time, and is no word where there are two.
    let direct = browser.get("/ui").await;
    assert_eq!(direct.status(), 303, "to sign in");
    let twice = change("weld.plant").header("x-forwarded-user", "viewer");
    assert_eq!(twice.send().await.unwrap().status(), 403);
    assert_eq!(change("weld.plant").send().await.unwrap().status(), 303);
}
