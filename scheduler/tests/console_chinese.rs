//! Whatever goes wrong is said in the language of the one who asked: each action and each view, for each reason that
//! can be brought about.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod common;

use common::{
    SOON,
    console::{Browser, Plant, said},
    ids, lease,
};
use weldfleet_queue::Settlement;
use weldfleet_testkit::is_chinese;
use weldfleet_tests::{Service, eventually};

/// The paragraphs of a page, without their tags.
fn paragraphs(html: &str) -> Vec<String> {
    let (_, main) = html.split_once("<main").unwrap();
    let paragraphs = main.split("<p").skip(1);
    let texts = paragraphs.map(|rest| {
        let (_, rest) = rest.split_once('>').unwrap();
        let (inner, _) = rest.split_once("</p>").unwrap_or((rest, ""));
        let mut text = String::new();
        let mut inside = true;
        for letter in inner.chars() {
            match letter {
                '<' => inside = false,
                '>' => inside = true,
                letter if inside => text.push(letter),
                _ => {}
            }
        }
        text.trim().to_owned()
    });
    texts.collect()
}

/// Nothing on the page is said in English alone; names, numbers and what can be downloaded are no words.
fn all_in_chinese(page: &str, html: &str) {
    for text in paragraphs(html) {
        let words = text.chars().filter(char::is_ascii_alphabetic).count();
        assert!(
            words == 0 || text == "CSV" || is_chinese(&text),
            "{page}: {text}"
        );
    }
}

/// The cells of each row.
fn rows(html: &str) -> Vec<Vec<&str>> {
    let rows = html.split("<tr>").filter(|row| row.contains("<td"));
    let cells = rows.map(|row| {
        let cells = row.split("<td").skip(1);
        let texts = cells.filter_map(|cell| cell.split_once('>')?.1.split_once("</td>"));
        texts.map(|(text, _)| text).collect()
    });
    cells.collect()
}

/// Each action, with what is wrong about it.
const ACTIONS: [(&str, &[(&str, &str)]); 17] = [
    ("/ui/pause", &[("reason", "")]),
    ("/ui/resume", &[]),
    (
        "/ui/backfills/change",
        &[("run", "7"), ("change", "cancel")],
    ),
    ("/ui/backfills/change", &[("run", "7"), ("change", "hold")]),
    (
        "/ui/backfills/change",
        &[("run", "7"), ("change", "resume")],
    ),
    (
        "/ui/backfills/change",
        &[("run", "7"), ("change", "oldest")],
    ),
    (
        "/ui/backfills/change",
        &[("run", "7"), ("change", "newest")],
    ),
    ("/ui/jobs/change", &[("change", "retry"), ("id", "nobody")]),
    ("/ui/jobs/change", &[("change", "drop"), ("id", "nobody")]),
    ("/ui/review", &[("result", "perhaps"), ("was", "{}")]),
    ("/ui/review", &[("result", "unsure"), ("was", "{}")]),
    (
        "/ui/review?day=tomorrow",
        &[("result", "unsure"), ("was", SEEN)],
    ),
    (
        "/ui/review?day=20261101",
        &[("result", "unsure"), ("was", SEEN)],
    ),
    (
        "/ui/review?day=20261101&ticks=1",
        &[("result", "unsure"), ("was", SEEN)],
    ),
    ("/ui/review/undo", &[("of", "nothing")]),
    ("/ui/pause", &[("reason", "a test")]),
    ("/ui/pause", &[("reason", "again")]),
];
const SEEN: &str = r#"{"result":"","by":"","at":"","note":""}"#;

async fn acted(browser: &Browser<'_>, action: &str, fields: &[(&str, &str)]) -> String {
    let link = if action.contains('?') { "&" } else { "?" };
    let mut fields = fields.to_vec();
    if fields.iter().all(|(name, _)| *name != "reason") {
        fields.push(("reason", "a test"));
    }
    let answer = browser
        .post(&format!("{action}{link}lang=zh"), &fields)
        .await;
    assert_eq!(answer.status(), 303, "{action}");
    said(&answer)
}

async fn page(browser: &Browser<'_>, page: &str) -> String {
    let link = if page.contains('?') { "&" } else { "?" };
    let answer = browser.get(&format!("{page}{link}lang=zh")).await;
    answer.text().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_goes_wrong_is_said_in_chinese() {
    let plant = Plant::start(&[]).await;
    let (hands, run) = plant.backfilled().await;
    let dead = hands.claim(1).await;
    let buried = hands
        .queue
        .settle(&lease(&dead[0]), Settlement::bury("the model file is gone"))
        .await;
    buried.unwrap();
    let browser = plant.signed_in("operator").await;

    for (action, fields) in ACTIONS {
        let said = acted(&browser, action, fields).await;
        assert!(is_chinese(&said), "{action} {fields:?}: {said}");
    }
    // What is not as it must be, and what works.
    let pending = ids(&hands.pending_rows(2000).await);
    let steer = [("run", run.as_str())];
    for (action, more) in [
        ("/ui/jobs/change", ("id", pending[0].as_str())),
        ("/ui/backfills/change", ("change", "resume")),
        ("/ui/backfills/change", ("change", "hold")),
        ("/ui/backfills/change", ("change", "hold")),
        ("/ui/backfills/change", ("change", "newest")),
        ("/ui/backfills/change", ("change", "cancel")),
        ("/ui/backfills/change", ("change", "newest")),
        ("/ui/backfills/change", ("change", "hold")),
    ] {
        let mut fields = vec![more];
        match action {
            "/ui/jobs/change" => fields.push(("change", "retry")),
            _ => fields.extend(steer),
        }
        let said = acted(&browser, action, &fields).await;
        assert!(is_chinese(&said), "{action} {more:?}: {said}");
    }
    // What was done, on what, and what came of it; who and why are as they were typed.
    let events = page(&browser, "/ui/events").await;
    let events = rows(&events);
    assert!(events.len() >= 5, "{events:?}");
    for event in &events {
        for said in [event[2], event[3], event[5]] {
            assert!(said.is_empty() || is_chinese(said), "{event:?}");
        }
    }

    for wrong in [
        "/ui/nok?day=tomorrow",
        "/ui/nok?shift=noon",
        "/ui/nok?review=perhaps",
        "/ui/weld?day=tomorrow&id=1",
        "/ui/weld?day=20261101&id=1",
        "/ui",
        "/ui/backfills",
        "/ui/workers",
        "/ui/jobs",
        "/ui/events",
    ] {
        all_in_chinese(wrong, &page(&browser, wrong).await);
    }
    for wrong in [
        "/ui/nok.csv?day=tomorrow",
        "/ui/workers?page=x",
        "/ui/events?before=-1",
        "/ui/weldx",
        "/ui/nope.csv",
    ] {
        let said = page(&browser, wrong).await;
        assert!(is_chinese(&said), "{wrong}: {said}");
    }
    let unknown = [("run", "the last"), ("change", "undo")];
    let answer = browser.post("/ui/backfills/change?lang=zh", &unknown).await;
    assert!(answer.status().is_client_error());
    let said = answer.text().await.unwrap();
    assert!(is_chinese(&said), "{said}");

    // Signing in, too, in the language of the page that was asked for.
    let led = plant.stranger().get("/ui/jobs?lang=zh").await;
    let to = led.headers()["location"].to_str().unwrap().to_owned();
    let sign_in = plant.stranger().get(&to).await.text().await.unwrap();
    assert!(
        sign_in.contains("用户名") && sign_in.contains("/ui/sign-in?lang=zh"),
        "{sign_in}"
    );
    let wrong = [("name", "viewer"), ("password", "wrong password")];
    let stranger = plant.stranger();
    let form = stranger
        .form("/ui/sign-in?lang=zh", &wrong)
        .header("origin", &plant.base);
    let refused = form.send().await.unwrap().text().await.unwrap();
    assert!(refused.contains("密码不正确"), "{refused}");

    // Who may not.
    let viewer = plant.signed_in("viewer").await;
    let stranger = plant.stranger();
    for browser in [&viewer, &stranger] {
        let refused = browser.post("/ui/pause?lang=zh", &[]).await;
        let text = refused.text().await.unwrap();
        assert!(is_chinese(&text), "{text}");
    }
    let forms = [
        browser
            .form("/ui/pause?lang=zh", &[])
            .header("origin", "http://evil.example"),
        browser
            .form("/ui/pause?lang=zh", &[])
            .header("origin", &plant.base),
    ];
    for form in forms {
        let text = form.send().await.unwrap().text().await.unwrap();
        assert!(is_chinese(&text), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_is_away_is_said_in_chinese() {
    for (store, actions, pages) in [
        (
            Service::MySql,
            &["/ui/review?day=20261101&ticks=1"][..],
            &["/ui/nok?review=open", "/ui/nok.csv"][..],
        ),
        (
            Service::ClickHouse,
            &["/ui/pause", "/ui/backfills/change", "/ui/jobs/change"],
            &[
                "/ui",
                "/ui/backfills",
                "/ui/nok",
                "/ui/weld?day=20261101&id=1",
                "/ui/events",
                "/ui/events.csv",
                "/ui/days.csv",
            ],
        ),
        (
            Service::Redis,
            &["/ui/pause", "/ui/resume", "/ui/jobs/change"],
            &[
                "/ui",
                "/ui/workers",
                "/ui/jobs",
                "/ui/jobs.csv",
                "/ui/workers.csv",
            ],
        ),
    ] {
        let plant = Plant::start(&[]).await;
        plant.fleet.simulate("today", 60, &[]);
        let sql = "UPDATE spot_records SET alg_status = 'ok', final_result = 'NOK', alg_complete_time = now64(3) WHERE 1";
        plant.fleet.clickhouse.execute(sql).await;
        let browser = plant.signed_in("operator").await;
        plant.fleet.services.stop(store);
        for action in actions {
            let fields = [
                ("reason", "a test"),
                ("run", "7"),
                (
                    "change",
                    if action.contains("jobs") {
                        "drop"
                    } else {
                        "hold"
                    },
                ),
                ("id", "nobody"),
                ("result", "unsure"),
                ("was", SEEN),
            ];
            let said = acted(&browser, action, &fields).await;
            assert!(is_chinese(&said), "{store:?} {action}: {said}");
        }
        for wanted in pages {
            eventually(&format!("{wanted} without {store:?}"), SOON, async || {
                let text = page(&browser, wanted).await;
                let is_csv = wanted.contains(".csv");
                let lower = text.to_lowercase();
                let named = ["mysql", "clickhouse", "redis"]
                    .iter()
                    .any(|name| lower.contains(name));
                if !is_csv {
                    all_in_chinese(wanted, &text);
                }
                (named && is_chinese(&text)).then_some(())
            })
            .await;
        }
    }
}

/// What a running fleet meets where somebody changes the plant's table, on the first page and in the probe.
#[tokio::test]
async fn a_table_that_was_changed_is_said_in_chinese() {
    let plant = Plant::start(&[]).await;
    plant.fleet.simulate("today", 60, &[]);
    let browser = plant.signed_in("viewer").await;
    let altered = |what: &str| format!("ALTER TABLE spot_records {what}");
    for (change, back, said) in [
        (
            // The look asks for no curve: it reads the table anew where something else is missing, too.
            altered("RENAME COLUMN u_curve TO away, RENAME COLUMN alg_status TO gone"),
            altered("RENAME COLUMN away TO u_curve, RENAME COLUMN gone TO alg_status"),
            "columns.u_curve：表 `spot_records`：没有列 `u_curve`；请映射到工厂的列名；表中有：",
        ),
        (
            altered("RENAME COLUMN alg_status TO away"),
            altered("RENAME COLUMN away TO alg_status"),
            "表 `spot_records`：缺少结果列：alg_status；请运行 `scheduler migrate`",
        ),
        (
            "RENAME TABLE spot_records TO away".to_owned(),
            "RENAME TABLE away TO spot_records".to_owned(),
            "表 `spot_records`：数据库 `weld` 中没有此表；请填写工厂的表名",
        ),
    ] {
        plant.fleet.clickhouse.execute(&change).await;
        eventually(&format!("{change} is told"), SOON, async || {
            let html = page(&browser, "/ui").await;
            html.replace("&#96;", "`").contains(said).then_some(())
        })
        .await;
        plant.fleet.clickhouse.execute(&back).await;
    }
}
