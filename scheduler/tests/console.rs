//! The console as a browser asks for it.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod common;

use std::time::Instant;

use common::{SOON, lease};
use nix::sys::signal::Signal;
use reqwest::{Client, Response, redirect::Policy};
use weldfleet_queue::{NewJob, Settlement};
use weldfleet_tests::{Fleet, Process, Service, eventually};

/// The first view and what it needs must not be larger.
const MOST_BYTES: usize = 200_000;

async fn get(scheduler: &Process, path: &str) -> Response {
    let client = Client::builder().redirect(Policy::none()).build().unwrap();
    let url = format!("{}{path}", scheduler.http().await);
    let browser = client.get(url).header("accept", "text/html,*/*;q=0.8");
    browser.send().await.unwrap()
}

#[tokio::test]
async fn every_view_is_small_strict_and_says_what_the_command_says() {
    let fleet = Fleet::start().await;
    fleet.migrate();
    let scheduler = fleet.scheduler();
    scheduler.ready().await;
    fleet.succeed("scheduler", &["pause", "--reason", "<b>tip</b> dress"]);

    let mut bytes = 0;
    for path in [
        "/ui",
        "/ui/backfills",
        "/ui/workers",
        "/ui/jobs",
        "/ui/style.css",
        "/ui/live.js",
    ] {
        let answer = get(&scheduler, path).await;
        assert_eq!(answer.status(), 200, "{path}");
        let policy = answer.headers()["content-security-policy"]
            .to_str()
            .unwrap()
            .to_owned();
        assert!(
            policy.starts_with("default-src 'none'") && !policy.contains("unsafe"),
            "{policy}"
        );
        let body = answer.text().await.unwrap();
        assert!(
            !body.contains("http://") && !body.contains("https://"),
            "{path} names another place"
        );
        if matches!(path, "/ui" | "/ui/style.css" | "/ui/live.js") {
            bytes += body.len();
        }
    }
    assert!(bytes < MOST_BYTES, "{bytes} bytes");

    for (lang, words) in [("en", "paused by"), ("zh", "暂停")] {
        eventually(&format!("the pause in {lang}"), SOON, async || {
            let html = get(&scheduler, &format!("/ui?lang={lang}"))
                .await
                .text()
                .await
                .unwrap();
            (html.contains(words) && html.contains("&#60;b&#62;tip") && !html.contains("<b>tip"))
                .then_some(())
        })
        .await;
    }

    // A browser is sent there, a program is not.
    let sent = get(&scheduler, "/").await;
    assert_eq!(
        (sent.status().as_u16(), &sent.headers()["location"]),
        (303, &"/ui".parse().unwrap())
    );
    let (status, body) = scheduler.get("/").await;
    assert!(status == 200 && body.starts_with('{'), "{body}");

    // Nothing can be changed, and another site's name does not lead here.
    let url = format!("{}/ui/jobs", scheduler.http().await);
    assert_eq!(Client::new().post(&url).send().await.unwrap().status(), 405);
    let elsewhere = Client::new().get(&url).header("host", "evil.example");
    assert_eq!(elsewhere.send().await.unwrap().status(), 403);
}

#[tokio::test]
async fn open_pages_are_told_of_news_a_few_of_one_visitor_and_delay_no_end() {
    let fleet = Fleet::start().await;
    fleet.migrate();
    let mut scheduler = fleet.scheduler();
    scheduler.ready().await;
    let mut open = Vec::new();
    for _ in 0..3 {
        let answer = get(&scheduler, "/ui/changes").await;
        assert_eq!(answer.headers()["content-type"], "text/event-stream");
        open.push(answer);
    }
    assert_eq!(get(&scheduler, "/ui/changes").await.status(), 204);
    let mut told = open.pop().unwrap();
    for _ in 0..2 {
        let news = told.chunk().await.unwrap().unwrap();
        assert_eq!(news, "data: look\n\n");
    }
    drop(told);
    let again = eventually("the place of one that has gone", SOON, async || {
        let answer = get(&scheduler, "/ui/changes").await;
        (answer.status() == 200).then_some(answer)
    });
    open.push(again.await);

    scheduler.signal(Signal::SIGTERM);
    for mut news in open {
        while news.chunk().await.unwrap().is_some() {}
    }
    scheduler.ended(SOON).await;
    assert!(!scheduler.log().contains("did not finish in time"));
}

/// The link to a page that has this beside it.
fn link_to(html: &str, page: &str, beside: &str) -> String {
    let tags = html.split("<a href=\"").skip(1);
    let mut tags = tags.filter(|tag| {
        let (tag, _) = tag.split_once("</a>").unwrap();
        tag.starts_with(page) && tag.contains(beside)
    });
    let link = tags.next().unwrap().split('"').next().unwrap();
    link.replace("&#38;", "&")
}

#[tokio::test]
async fn a_page_of_one_scheduler_lives_on_when_the_leader_dies() {
    let fleet = Fleet::start().await;
    fleet.migrate();
    let mut leader = fleet.scheduler();
    leader.ready().await;
    let standby = fleet.scheduler();
    let seen = async |html: String| {
        let (_, seen) = html.split_once("class=\"age\">").unwrap();
        seen.split_once('<').unwrap().0.to_owned()
    };
    let page = async || get(&standby, "/ui").await.text().await.unwrap();
    eventually("the standby shows a page", SOON, async || {
        let answer = get(&standby, "/ui").await;
        (answer.status() == 200).then_some(())
    })
    .await;
    leader.kill();
    let before = seen(page().await).await;
    eventually("the page is renewed", SOON, async || {
        (seen(page().await).await != before).then_some(())
    })
    .await;
    eventually("somebody leads again", SOON, async || {
        (!page().await.contains("no scheduler leads")).then_some(())
    })
    .await;
}

#[tokio::test]
async fn what_is_asked_for_wrongly_is_no_failure_of_ours() {
    let fleet = Fleet::start().await;
    fleet.migrate();
    let scheduler = fleet.scheduler();
    scheduler.ready().await;
    for (list, status, why) in [
        ("nok.csv?day=tomorrow", 400, "day = tomorrow: "),
        ("pareto.csv?shift=noon", 400, "shift = noon: "),
        ("nok.csv?review=perhaps", 400, "review = perhaps: "),
        (
            "nok.csv?Day=20261101",
            400,
            "not asked for by `day`, but by day, shift",
        ),
        ("days.csv?from=20261101", 400, "not asked for by `from`"),
        ("jobs.csv?day=20261101", 400, "not asked for by `day`"),
        ("hits.csv?day=20261101&id=1", 404, "no such weld"),
        ("welds.csv?day=20261101", 404, "no such page or list"),
        ("weldx", 404, "no such page or list"),
    ] {
        let answer = get(&scheduler, &format!("/ui/{list}")).await;
        assert_eq!(answer.status(), status, "{list}");
        let said = answer.text().await.unwrap().to_lowercase();
        assert!(
            said.contains(why) && said.lines().count() <= 1,
            "{list}: {said}"
        );
    }
    let led = get(&scheduler, "/ui/?lang=zh").await;
    assert_eq!(led.headers()["location"], "/ui?lang=zh");
}

#[tokio::test]
async fn a_list_that_cannot_be_read_is_no_empty_list() {
    let fleet = Fleet::start().await;
    fleet.migrate();
    let scheduler = fleet.scheduler();
    scheduler.ready().await;
    for (store, pages) in [
        (Service::Redis, &["jobs", "workers"][..]),
        (Service::ClickHouse, &["backfills", "events", "days"]),
    ] {
        fleet.services.stop(store);
        for page in pages {
            eventually(&format!("{page} without {store:?}"), SOON, async || {
                let view = page.replace("days", "");
                let html = get(&scheduler, &format!("/ui/{view}?lang=en")).await;
                let html = html.text().await.unwrap();
                let csv = get(&scheduler, &format!("/ui/{page}.csv")).await;
                let refused = csv.status() == 503;
                let why = csv.text().await.unwrap();
                let said = why.contains("redis") || why.contains("clickhouse");
                (refused && said && !html.contains("there is nothing here")).then_some(())
            })
            .await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_hangs_is_waited_for_once_by_all_who_look() {
    let fleet = Fleet::start().await;
    fleet.migrate();
    let scheduler = fleet.scheduler();
    scheduler.ready().await;
    let base = scheduler.http().await;
    fleet.services.pause(Service::Redis);
    let began = Instant::now();
    let viewers = [(); 20].map(|()| {
        let url = format!("{base}/ui/jobs?lang=en");
        tokio::spawn(async move { Client::new().get(&url).send().await.unwrap().text().await })
    });
    for viewer in viewers {
        let html = viewer.await.unwrap().unwrap();
        // In its client's words, or in ours.
        let said = html.contains("timed out") || html.contains("no answer for 2 s");
        assert!(said, "{html}");
    }
    // Two seconds for the list, and two for the look.
    assert!(began.elapsed() < SOON / 2, "{:?}", began.elapsed());
    fleet.services.cont(Service::Redis);
}

/// As long as others read rows, a list of events waits for its turn like any other, and says so in the end.
#[tokio::test(flavor = "multi_thread")]
async fn a_list_of_events_takes_its_turn() {
    let fleet = Fleet::start().await;
    fleet.migrate();
    let scheduler = fleet.scheduler();
    scheduler.ready().await;
    fleet.succeed("scheduler", &["pause", "--reason", "a test"]);
    let csv = get(&scheduler, "/ui/events.csv").await;
    assert!(csv.text().await.unwrap().contains("a test"));

    fleet.services.pause(Service::ClickHouse);
    // Two read at a time, for as long as anybody waits: of eight some are told before it is their turn.
    let url = format!("{}/ui/events.csv?lang=en", scheduler.http().await);
    let asked = [(); 8].map(|()| Client::new().get(&url).send());
    let mut refused = 0;
    for answer in futures::future::join_all(asked).await {
        let answer = answer.unwrap();
        let is_refusal = answer.status() == 503;
        let said = answer.text().await.unwrap();
        refused += u32::from(is_refusal && said.contains("others are reading"));
    }
    assert!(refused >= 4, "{refused} of 8 waited in vain");
    fleet.services.cont(Service::ClickHouse);
    eventually("then it is there again", SOON, async || {
        let csv = get(&scheduler, "/ui/events.csv").await;
        (csv.status() == 200).then_some(())
    })
    .await;
}

/// The cells of a column.
fn cells(html: &str, prefix: &str) -> Vec<String> {
    let cells = html.split("<td>").skip(1);
    let cells = cells.filter_map(|cell| cell.split("</td>").next());
    let cells = cells.filter(|cell| cell.starts_with(prefix));
    cells.map(str::to_owned).collect()
}

#[tokio::test]
async fn a_page_of_events_repeats_none_when_new_ones_arrive() {
    let fleet = Fleet::start().await;
    fleet.migrate();
    let scheduler = fleet.scheduler();
    scheduler.ready().await;
    let read = async |path: &str| get(&scheduler, path).await.text().await.unwrap();
    // All of one millisecond.
    let many = |name: &str, count: u32| {
        format!(
            "INSERT INTO weld_events (at, who, what, on_what, why, detail) \
             SELECT toDateTime64('2026-11-01 04:00:00.000', 3, 'UTC') + {count} % 7, 'a test', 'note', \
             concat('{name} ', toString(number)), '', '' FROM numbers({count})"
        )
    };
    fleet.clickhouse.execute(&many("job", 150)).await;
    let first = read("/ui/events?lang=en").await;
    assert!(
        first.contains("2026-11-01 12:00:03 Asia/Shanghai"),
        "{first}"
    );
    fleet.clickhouse.execute(&many("newer", 5)).await;
    let next = link_to(&first, "/ui/events?", "rel=\"next\"");
    let second = read(&next).await;
    let mut told = [cells(&first, "job "), cells(&second, "job ")].concat();
    assert_eq!(cells(&second, "newer ").len(), 0);
    told.sort();
    told.dedup();
    assert_eq!(told.len(), 150);
    // The export goes on from there, too.
    let export = link_to(&second, "/ui/events.csv?", "CSV");
    let lines = read(&export).await.matches(",note,job ").count();
    assert_eq!(lines, 150 - cells(&first, "job ").len());
}

#[tokio::test]
async fn all_dead_jobs_are_exported_and_the_page_says_how_many_it_shows() {
    const JOBS: usize = 1010;
    let fleet = Fleet::start().await;
    fleet.migrate();
    let scheduler = fleet.scheduler();
    scheduler.ready().await;
    let hands = common::Hands::new(&fleet, SOON).await;
    let jobs = (0..JOBS).map(|number| NewJob::new(format!("20261101-{number:04}")));
    let jobs: Vec<NewJob> = jobs.collect();
    for some in jobs.chunks(500) {
        hands.queue.enqueue(some).await.unwrap();
    }
    let mut buried = 0;
    while buried < JOBS {
        for job in hands.claim(100).await {
            hands
                .queue
                .settle(&lease(&job), Settlement::bury("a test"))
                .await
                .unwrap();
            buried += 1;
        }
    }
    let csv = get(&scheduler, "/ui/jobs.csv").await.text().await.unwrap();
    assert_eq!(csv.lines().count(), 1 + JOBS);
    eventually("the page says so", SOON, async || {
        let html = get(&scheduler, "/ui/jobs?lang=en").await;
        let html = html.text().await.unwrap();
        html.contains("oldest 1,000 of 1,010 dead jobs")
            .then_some(())
    })
    .await;
}

#[tokio::test]
async fn it_is_not_shown_where_everybody_may_ask() {
    let fleet = Fleet::with(&[("scheduler.http", "0.0.0.0:0")]).await;
    fleet.migrate();
    let scheduler = fleet.scheduler();
    scheduler.ready().await;
    let answer = get(&scheduler, "/ui").await;
    assert_eq!(answer.status(), 403);
    let why = answer.text().await.unwrap();
    assert!(why.contains("scheduler.http"), "{why}");
}

#[tokio::test]
async fn nok_welds_are_listed_filtered_and_drawn() {
    let fleet = Fleet::start().await;
    fleet.migrate();
    fleet.simulate("today", 300, &[]);
    fleet
        .clickhouse
        .execute(
            "UPDATE spot_records SET alg_status = 'ok', final_result = 'NOK', defect = if(record_id % 3 = 0, '小焊核', '<i>飞溅'), \
             decided_by = 'ml', ml_nok_prob = 0.912, alg_complete_time = now64(3) WHERE record_id <= 150",
        )
        .await;
    let scheduler = fleet.scheduler();
    scheduler.ready().await;
    let read = async |path: &str| {
        let answer = get(&scheduler, path).await;
        assert_eq!(answer.status(), 200, "{path}");
        answer.text().await.unwrap()
    };
    let welds = |html: &str| html.matches("/ui/weld?").count();

    let first = read("/ui/nok").await;
    assert_eq!(welds(&first), 100, "{first}");
    // Nobody has typed a day, so that a shift may mean another.
    let today = common::day_before(0);
    let free = format!("pattern=\"[0-9]{{8}}\" placeholder=\"{today}\">");
    assert!(
        first.contains("name=\"day\" value=\"\"") && first.contains(&free),
        "{first}"
    );
    assert!(
        first.contains("0.9120") && !first.contains("<i>"),
        "{first}"
    );
    let older = link_to(&first, "/ui/nok?", "rel=\"next\"");
    let second = read(&older).await;
    assert_eq!(welds(&second), 50);
    assert!(!second.contains("rel=\"next\""), "{second}");
    let one_defect = read("/ui/nok?lang=zh&defect=%E5%B0%8F%E7%84%8A%E6%A0%B8").await;
    assert_eq!(welds(&one_defect), 50);
    assert_eq!(welds(&read("/ui/nok?day=20200101").await), 0);

    // A weld of several defects is one of each; one that names none is found, too.
    fleet
        .clickhouse
        .execute(
            "UPDATE spot_records SET defect = if(record_id = 4, '', '小焊核,<i>飞溅') WHERE record_id IN (1, 2, 4)",
        )
        .await;
    for (defect, count) in [
        ("%E5%B0%8F%E7%84%8A%E6%A0%B8", 52),
        ("%E5%B0%8F%E7%84%8A%E6%A0%B8%2C%3Ci%3E%E9%A3%9E%E6%BA%85", 2),
        ("-", 1),
    ] {
        let html = read(&format!("/ui/nok?defect={defect}")).await;
        assert_eq!(welds(&html), count, "{defect}");
    }
    let all = read("/ui/nok?lang=en&review=").await;
    assert!(!all.contains("whatever their review"), "{all}");
    let none = link_to(&all, "/ui/nok?", "none named");
    assert_eq!(welds(&read(&none).await), 1);
    let pareto = read("/ui/pareto.csv?lang=en").await;
    let lines: Vec<&str> = pareto.lines().skip(1).collect();
    assert_eq!(lines, ["<i>飞溅,99", "小焊核,52", "none named,1"]);
    assert!(read("/ui/nok?day=tomorrow").await.contains("is not a day"));

    let day = common::day_before(0);
    let weld = read(&format!("/ui/weld?day={day}&id=3")).await;
    // As other times are told, not by the server's clock.
    let judged = fleet
        .clickhouse
        .value("SELECT toString(toDateTime(any(alg_complete_time), 'Asia/Shanghai')) FROM spot_records WHERE record_id = 3")
        .await;
    assert!(
        weld.contains(&format!("<td>{judged} Asia/Shanghai</td>")),
        "{weld}"
    );
    assert!(
        weld.contains("<svg") && weld.matches("<polyline").count() >= 3,
        "{weld}"
    );
    assert!(weld.contains("<title") && weld.contains("小焊核"), "{weld}");
    assert!(!weld.contains("style="), "the policy forbids it");
    // By the model alone: what the rules would have objected to is told all the same.
    assert!(
        weld.contains("Limits that make the rules say NOK")
            && weld.contains("<td>short_pulse</td>"),
        "{weld}"
    );
    assert!(weld.contains("class=\"limit\""), "{weld}");
    for (list, head) in [("hits", "rule,level"), ("attempts", "token,time")] {
        let csv = read(&format!("/ui/{list}.csv?day={day}&id=3&lang=en")).await;
        assert!(csv.contains(head), "{csv}");
    }
    eventually("the shares for a spreadsheet", SOON, async || {
        let csv = get(&scheduler, "/ui/shares.csv?lang=en").await;
        let csv = csv.text().await.unwrap();
        let today = fleet
            .clickhouse
            .value("SELECT toString(toDate(now('Asia/Shanghai')))")
            .await;
        let says_when = csv.contains("shift,since,read at\r\n")
            && csv.contains(&format!(",{today} 00:00:00,{today} "));
        says_when.then_some(())
    })
    .await;
    // What nobody can judge is seen as it was recorded.
    fleet
        .clickhouse
        .execute(
            "INSERT INTO spot_records SELECT * REPLACE (9000 AS record_id, arraySlice(i_curve, 1, 50) AS i_curve) \
             FROM (SELECT * FROM spot_records WHERE record_id = 3)",
        )
        .await;
    let recorded = read(&format!("/ui/weld?day={day}&id=9000&lang=en")).await;
    assert!(
        recorded.contains("shown as they were recorded: unequal_curves"),
        "{recorded}"
    );
    assert_eq!(recorded.matches("<polyline").count(), 2, "{recorded}");
    // Another weld of this id, later on the same day.
    fleet
        .clickhouse
        .execute(
            "INSERT INTO spot_records SELECT * REPLACE (ck_local_time + INTERVAL 1 SECOND AS ck_local_time, '飞边' AS defect, \
             'OK' AS final_result) FROM spot_records WHERE record_id = 3",
        )
        .await;
    let time = fleet
        .clickhouse
        .value("SELECT replaceAll(replaceAll(toString(min(ck_local_time)), ' ', '+'), ':', '%3A') FROM spot_records WHERE record_id = 3")
        .await;
    let pages = [read("/ui/nok").await, read(&older).await].concat();
    assert!(pages.contains(&format!("id=3&#38;time={time}")), "{pages}");
    let of_both = read(&format!("/ui/weld?day={day}&id=3&time={time}")).await;
    assert!(
        of_both.contains("小焊核") && !of_both.contains("飞边"),
        "{of_both}"
    );
    assert!(
        read(&format!("/ui/weld?day={day}&id=999999"))
            .await
            .contains("no such weld")
    );
    assert!(
        read(&format!("/ui/weld?day={day}&id=%27%20OR%201"))
            .await
            .contains("no such weld")
    );
}
