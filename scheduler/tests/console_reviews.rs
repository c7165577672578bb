//! Reviewing NOK welds in the console, with a real MySQL behind it.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod common;

use common::{
    SOON,
    console::{Browser, Plant, said},
    day_before,
};
use weldfleet_tests::{Fleet, Service, eventually};

const NOK: u64 = 40;

/// A day with so many NOK welds that MySQL has too; every second of part P-1, a third of body B-7.
async fn with_nok_welds(more: &[(&str, &str)]) -> (Plant, String) {
    let plant = Plant::start(more).await;
    let day = day_before(0);
    plant.fleet.simulate("today", 60, &[]);
    plant
        .fleet
        .clickhouse
        .execute(&format!(
            "UPDATE spot_records SET alg_status = 'ok', final_result = 'NOK', defect = '小焊核', decided_by = 'soft_and', \
             ml_nok_prob = 0.912, ml_result = 'NOK', rule_result = 'NOK', alg_token = 7, alg_run = 0, \
             alg_complete_time = now64(3) WHERE record_id <= {NOK}"
        ))
        .await;
    eventually("the welds are mirrored", SOON, async || {
        let rows = plant.fleet.mysql.count("nok_records").await;
        (rows == NOK).then_some(())
    })
    .await;
    (plant, day)
}

/// The page that an answer leads to.
fn leads_to(answer: &reqwest::Response) -> String {
    assert_eq!(answer.status(), 303);
    answer.headers()["location"].to_str().unwrap().to_owned()
}

/// The review form of a weld's page: where it goes, and what it says was there.
fn form(html: &str) -> (String, String) {
    let (_, form) = html.split_once("action=\"/ui/review?").unwrap();
    let (query, form) = form.split_once('"').unwrap();
    let (form, _) = form.split_once("</form>").unwrap();
    let (_, was) = form.split_once("name=\"was\" value=\"").unwrap();
    let was = unescaped(was.split('"').next().unwrap());
    (format!("/ui/review?{}", query.replace("&#38;", "&")), was)
}

/// A text of a page as a browser reads it.
fn unescaped(text: &str) -> String {
    let marks = [
        ("&#60;", "<"),
        ("&#62;", ">"),
        ("&#34;", "\""),
        ("&#38;", "&"),
    ];
    let text = text.to_owned();
    marks
        .iter()
        .fold(text, |text, (escaped, mark)| text.replace(escaped, mark))
}

async fn review(
    browser: &mut Browser<'_>,
    page: &str,
    result: &str,
    note: &str,
) -> reqwest::Response {
    let html = browser.get(page).await.text().await.unwrap();
    let (action, was) = form(&html);
    send(browser, &action, &was, result, note).await
}

async fn send(
    browser: &mut Browser<'_>,
    action: &str,
    was: &str,
    result: &str,
    note: &str,
) -> reqwest::Response {
    let fields = [("result", result), ("note", note), ("was", was)];
    browser.post(action, &fields).await
}

#[tokio::test]
async fn nok_welds_are_reviewed_one_after_the_other_taken_back_and_kept() {
    let (plant, day) = with_nok_welds(&[]).await;
    let rows = async |columns: &str| {
        let sql = format!(
            "SELECT {columns} FROM nok_records WHERE review_result IS NOT NULL ORDER BY record_id + 0 DESC"
        );
        plant.fleet.mysql.rows(&sql).await
    };
    let mut browser = plant.signed_in("reviewer").await;
    let list = browser
        .get("/ui/nok?review=open")
        .await
        .text()
        .await
        .unwrap();
    assert_eq!(list.matches("/ui/weld?").count() as u64, NOK);

    // Each review leads to the next weld that nobody has reviewed.
    let first = format!("/ui/weld?lang=en&day={day}&review=open&id={NOK}");
    let html = browser.get(&first).await.text().await.unwrap();
    assert!(
        html.contains("NOK, since both say so") && html.contains("Nobody has reviewed"),
        "{html}"
    );
    let answer = review(
        &mut browser,
        &first,
        "confirmed",
        "ground <down> & welded again",
    )
    .await;
    assert!(said(&answer).contains("40: confirmed"), "{}", said(&answer));
    let second = leads_to(&answer);
    assert!(
        second.contains("id=39&") && second.contains("review=open"),
        "{second}"
    );
    let answer = review(&mut browser, &second, "false alarm", "").await;
    let third = leads_to(&answer);
    assert!(third.contains("id=38&"), "{third}");
    let kept = rows("record_id, review_result, reviewed_by, review_note, ABS(TIMESTAMPDIFF(SECOND, reviewed_at, UTC_TIMESTAMP())) < 60").await;
    assert_eq!(
        kept,
        [
            [
                "40",
                "confirmed",
                "reviewer",
                "ground <down> & welded again",
                "1"
            ],
            ["39", "false alarm", "reviewer", "NULL", "1"],
        ]
    );
    let shown = browser.get(&first).await.text().await.unwrap();
    assert!(
        shown.contains("ground &#60;down&#62; &#38; welded again"),
        "{shown}"
    );

    // The last one is taken back, once.
    browser.take_cookies(&answer);
    let told = browser.get(&third).await.text().await.unwrap();
    // Whichever of its pages is looked at, and after what was said is told.
    for page in ["/ui/nok", &first] {
        let html = browser.get(page).await.text().await.unwrap();
        assert!(
            html.contains("name=\"of\" value=\"") && html.contains("data-key=\"z\""),
            "{html}"
        );
    }
    let (_, of) = told.split_once("name=\"of\" value=\"").unwrap();
    let of = of.split('"').next().unwrap().to_owned();
    let undo = [("of", of.as_str())];
    let other = browser
        .post("/ui/review/undo?lang=en", &[("of", "1 40")])
        .await;
    assert!(
        said(&other).contains("no review to take back"),
        "{}",
        said(&other)
    );
    // Somebody notes something meanwhile: it would be lost.
    let note =
        |text: &str| format!("UPDATE nok_records SET review_note = {text} WHERE record_id = '39'");
    plant.fleet.mysql.execute(&note("'repaired'")).await;
    let foreign = browser.post("/ui/review/undo?lang=en", &undo).await;
    assert!(said(&foreign).contains("repaired"), "{}", said(&foreign));
    plant.fleet.mysql.execute(&note("NULL")).await;
    let undone = browser.post("/ui/review/undo?lang=en", &undo).await;
    assert!(said(&undone).contains("taken back"), "{}", said(&undone));
    assert!(leads_to(&undone).contains("id=39&"));
    assert_eq!(rows("record_id").await, [["40"]]);
    let again = browser.post("/ui/review/undo?lang=en", &undo).await;
    assert!(said(&again).contains("Not written"), "{}", said(&again));
    browser.take_cookies(&undone);
    let html = browser.get("/ui/nok").await.text().await.unwrap();
    assert!(
        !html.contains("name=\"of\""),
        "there is nothing more: {html}"
    );

    // A reviewed weld that is reviewed anew says who was before; `next` skips what the filter does not want.
    let mut second_person = plant.signed_in("operator").await;
    let answer = review(&mut second_person, &first, "unsure", "").await;
    assert!(said(&answer).contains("40: unsure"), "{}", said(&answer));
    let events = &plant.fleet.clickhouse;
    let told = events
        .value("SELECT concat(who, ': ', detail, ': ', why) FROM weld_events WHERE what = 'review' AND who = 'operator'")
        .await;
    assert_eq!(
        told,
        "operator: unsure by operator; was confirmed by reviewer:"
    );
    let kept = rows("review_note").await;
    assert_eq!(
        kept,
        [["ground <down> & welded again"]],
        "who says nothing leaves the note"
    );
    let next = browser
        .get(&format!("/ui/next?day={day}&review=unsure"))
        .await;
    assert!(leads_to(&next).contains("id=40&"));
    let none = browser
        .get(&format!("/ui/next?day={day}&review=confirmed"))
        .await;
    assert!(leads_to(&none).starts_with("/ui/nok?"));

    let csv = browser
        .get(&format!("/ui/nok.csv?day={day}&review=done&lang=en"))
        .await;
    assert!(
        csv.headers()["content-type"]
            .to_str()
            .unwrap()
            .starts_with("text/csv")
    );
    let csv = csv.text().await.unwrap();
    let lines: Vec<&str> = csv.lines().collect();
    assert!(
        lines.len() == 2
            && lines[1].starts_with("40,")
            && lines[1].contains("unsure,operator")
            && lines[1].ends_with(&format!(",{day}")),
        "{csv}"
    );
    // A copy of a row is the same weld: told once, and reviewed.
    let copy = "INSERT INTO spot_records SELECT * FROM spot_records WHERE record_id = 40";
    plant.fleet.clickhouse.execute(copy).await;
    let done = browser.get(&format!("/ui/nok?day={day}&review=done")).await;
    let done = done.text().await.unwrap();
    assert_eq!(done.matches("/ui/weld?").count(), 1, "{done}");
    let pareto = format!("/ui/pareto.csv?lang=en&day={day}");
    let pareto = browser.get(&pareto);
    let counted: u64 = pareto
        .await
        .text()
        .await
        .unwrap()
        .lines()
        .skip(1)
        .filter_map(|line| line.rsplit_once(',')?.1.parse::<u64>().ok())
        .sum();
    let nok = "(SELECT DISTINCT data_date, ck_local_time, record_id FROM spot_records WHERE final_result = 'NOK')";
    let welds = plant.fleet.clickhouse.count(nok).await;
    assert_eq!(counted, welds);
}

#[tokio::test]
async fn whoever_is_slower_overwrites_nothing() {
    let (plant, day) = with_nok_welds(&[]).await;
    let page = format!("/ui/weld?lang=en&day={day}&id=5");
    let mut slow = plant.signed_in("reviewer").await;
    let html = slow.get(&page).await.text().await.unwrap();
    let (action, was) = form(&html);

    let mut quick = plant.signed_in("operator").await;
    review(&mut quick, &page, "false alarm", "the cap was new").await;
    let answer = send(&mut slow, &action, &was, "confirmed", "").await;
    let told = said(&answer);
    assert!(
        told.contains("somebody was faster") && told.contains("the cap was new"),
        "{told}"
    );
    assert!(
        leads_to(&answer).contains("/ui/weld?"),
        "it stays where it is"
    );

    // An application's hand in the same row is seen as well.
    let html = slow.get(&page).await.text().await.unwrap();
    let (action, was) = form(&html);
    plant
        .fleet
        .mysql
        .execute("UPDATE nok_records SET review_note = 'no, it was not' WHERE record_id = '5'")
        .await;
    let answer = send(&mut slow, &action, &was, "confirmed", "").await;
    assert!(
        said(&answer).contains("no, it was not"),
        "{}",
        said(&answer)
    );

    // What was typed is there again, and lines may end as they like.
    plant
        .fleet
        .mysql
        .execute("UPDATE nok_records SET review_note = 'one\\ntwo' WHERE record_id = '7'")
        .await;
    let noted = page.replace("id=5", "id=7");
    let answer = send(&mut slow, &action, &was, "confirmed", "typed with care").await;
    let again = slow.get(&leads_to(&answer)).await.text().await.unwrap();
    assert!(again.contains(">typed with care</textarea>"), "{again}");
    let answer = review(&mut slow, &noted, "confirmed", "").await;
    assert!(said(&answer).contains("7: confirmed"), "{}", said(&answer));
    // Pressed twice it is one review.
    let html = slow
        .get(&noted.replace("id=7", "id=8"))
        .await
        .text()
        .await
        .unwrap();
    let (eighth, unseen) = form(&html);
    for _ in 0..2 {
        send(&mut slow, &eighth, &unseen, "confirmed", "").await;
    }
    let told = "weld_events WHERE what = 'review' AND on_what LIKE '% 8'";
    assert_eq!(plant.fleet.clickhouse.count(told).await, 1);
    plant
        .fleet
        .mysql
        .execute("UPDATE nok_records SET review_result = NULL, reviewed_by = NULL, reviewed_at = NULL, review_note = NULL WHERE record_id IN ('7', '8')")
        .await;

    // What is not there, and what cannot be said.
    plant
        .fleet
        .mysql
        .execute("DELETE FROM nok_records WHERE record_id = '6'")
        .await;
    let other = action.replace("id=5&", "id=6&");
    let answer = send(&mut slow, &other, &was, "confirmed", "").await;
    assert!(
        said(&answer).contains("once it is mirrored"),
        "{}",
        said(&answer)
    );
    let answer = send(&mut slow, &action, &was, "perhaps", "").await;
    assert!(
        said(&answer).contains("cannot be said"),
        "{}",
        said(&answer)
    );
    let left = "SELECT review_result, reviewed_by, review_note FROM nok_records WHERE review_result IS NOT NULL";
    assert_eq!(
        plant.fleet.mysql.rows(left).await,
        [["false alarm", "operator", "no, it was not"]]
    );

    // A viewer sees the review and no form.
    let viewer = plant.signed_in("viewer").await;
    let html = viewer.get(&page).await.text().await.unwrap();
    assert!(
        html.contains("no, it was not") && !html.contains("action=\"/ui/review?"),
        "{html}"
    );
}

/// A weld that is judged again after its review, one that ClickHouse has no more, and a day of such welds.
#[tokio::test]
async fn reviews_outlive_the_verdicts_and_the_rows_that_they_were_of() {
    let (plant, day) = with_nok_welds(&[("columns.carried", "{ body_no = \"timer_name\" }")]).await;
    let mut browser = plant.signed_in("reviewer").await;
    let weld = |id: u64| format!("/ui/weld?lang=en&day={day}&id={id}");
    let answer = review(&mut browser, &weld(5), "confirmed", "").await;
    assert!(said(&answer).contains("5: confirmed"), "{}", said(&answer));
    let open = async |browser: &Browser<'_>| {
        let html = browser
            .get("/ui/nok?review=open")
            .await
            .text()
            .await
            .unwrap();
        html.matches("/ui/weld?").count() as u64
    };
    assert_eq!(open(&browser).await, NOK - 1);
    let html = browser.get(&weld(5)).await.text().await.unwrap();
    assert!(
        html.contains("<dt>body</dt>") && !html.contains("before the verdict"),
        "{html}"
    );

    // NOK again: it is to be looked at again.
    let judged = async |result: &str| {
        let sql = format!(
            "UPDATE spot_records SET final_result = '{result}', alg_complete_time = now64(3) + INTERVAL 1 HOUR WHERE record_id = 5"
        );
        plant.fleet.clickhouse.execute(&sql).await;
    };
    judged("NOK").await;
    assert_eq!(open(&browser).await, NOK);
    let html = browser.get(&weld(5)).await.text().await.unwrap();
    assert!(
        html.contains("before the verdict") && html.contains("/ui/review?"),
        "{html}"
    );
    judged("OK").await;
    let html = browser.get(&weld(5)).await.text().await.unwrap();
    assert!(
        html.contains("confirmed")
            && html.contains("before the verdict")
            && !html.contains("/ui/review?"),
        "{html}"
    );

    let gone = "ALTER TABLE spot_records DELETE WHERE 1 SETTINGS mutations_sync = 1";
    plant.fleet.clickhouse.execute(gone).await;
    let html = browser.get(&weld(5)).await.text().await.unwrap();
    assert!(
        html.contains("has this weld no more") && html.contains("confirmed"),
        "{html}"
    );
    let html = browser.get(&weld(999)).await.text().await.unwrap();
    assert!(html.contains("no such weld"), "{html}");
    let html = browser
        .get(&format!("/ui/nok?lang=en&day={day}"))
        .await
        .text()
        .await
        .unwrap();
    assert!(html.contains("MySQL keeps the records of "), "{html}");
    let html = browser
        .get(&format!("/ui/nok?lang=en&day={day}&part=P-1"))
        .await
        .text()
        .await
        .unwrap();
    assert!(
        !html.contains("MySQL keeps") && html.contains("nothing here"),
        "{html}"
    );
}

/// Both say something of a weld at once, each at another scheduler.
#[tokio::test]
async fn of_two_reviewers_one_is_heard_and_the_other_is_told() {
    let (plant, day) = with_nok_welds(&[]).await;
    let standby = plant.fleet.scheduler();
    standby.ready().await;
    let mut one = plant.signed_in("reviewer").await;
    let mut other = plant.signed_in("operator").await;
    other.base = standby.http().await;
    for id in 1..=20 {
        let page = format!("/ui/weld?lang=en&day={day}&id={id}");
        let (html, same) = tokio::join!(one.get(&page), other.get(&page));
        let [html, same] = [html.text().await.unwrap(), same.text().await.unwrap()];
        let (action, was) = form(&html);
        assert_eq!(form(&same), (action.clone(), was.clone()));
        let (first, second) = tokio::join!(
            send(&mut one, &action, &was, "confirmed", "I saw it"),
            send(&mut other, &action, &was, "false alarm", "I did not"),
        );
        let told = [said(&first), said(&second)];
        let slower = told
            .iter()
            .find(|told| told.contains("somebody was faster"));
        let slower = slower.unwrap_or_else(|| panic!("both were heard: {told:?}"));
        let sql =
            format!("SELECT review_result, reviewed_by FROM nok_records WHERE record_id = '{id}'");
        let kept = plant.fleet.mysql.rows(&sql).await.remove(0);
        assert!(
            slower.contains(&kept[0]) && slower.contains(&kept[1]),
            "{told:?}, and there is {kept:?}"
        );
        let events = format!("weld_events WHERE what = 'review' AND on_what LIKE '% {id}'");
        assert_eq!(plant.fleet.clickhouse.count(&events).await, 1, "{told:?}");
    }
}

#[tokio::test]
async fn welds_are_found_by_shift_and_body_and_without_mysql_listed_still() {
    let shifts = "{ early = \"06:00\", late = \"14:00\", night = \"22:00\" }";
    let (plant, day) = with_nok_welds(&[
        ("console.shifts", shifts),
        (
            "columns.carried",
            "{ body_no = \"timer_name\", line = \"part_no\" }",
        ),
    ])
    .await;
    let browser = plant.signed_in("reviewer").await;
    let count = async |query: &str| {
        let html = browser
            .get(&format!("/ui/nok?day={day}&{query}"))
            .await
            .text()
            .await
            .unwrap();
        html.matches("/ui/weld?").count() as u64
    };
    for (shift, hours) in [("early", "6 AND 13"), ("late", "14 AND 21")] {
        let told = format!(
            "spot_records WHERE final_result = 'NOK' AND toHour(ck_local_time) BETWEEN {hours}"
        );
        let known = plant.fleet.clickhouse.count(&told).await;
        assert_eq!(count(&format!("shift={shift}")).await, known, "{shift}");
    }
    // The night begins in the evening of its day, and ends in the morning of the next.
    let eve = day_before(1);
    let copy = format!(
        "INSERT INTO spot_records SELECT * REPLACE (ck_local_time - INTERVAL 2 HOUR AS ck_local_time, {eve} AS data_date) \
         FROM (SELECT * FROM spot_records WHERE final_result = 'NOK' AND toHour(ck_local_time) < 2)"
    );
    plant.fleet.clickhouse.execute(&copy).await;
    let hours = async |day: &str, hours: &str| {
        let told = format!(
            "spot_records WHERE final_result = 'NOK' AND data_date = {day} AND toHour(ck_local_time) {hours}"
        );
        plant.fleet.clickhouse.count(&told).await
    };
    let evening = hours(&eve, ">= 22").await;
    let morning = hours(&day, "< 6").await;
    assert!(evening > 0 && morning > 0);
    assert_eq!(count("shift=night").await, hours(&day, ">= 22").await);
    let night = format!("/ui/nok?lang=en&day={eve}&shift=night");
    let html = browser.get(&night).await.text().await.unwrap();
    assert_eq!(html.matches("/ui/weld?").count() as u64, evening + morning);
    // A weld of the morning is one of its own day, and the next of it may be of the evening.
    let mut page = format!("/ui/next?lang=en&day={eve}&shift=night");
    for place in 0..evening + morning {
        let leads = browser.get(&page).await;
        let weld = leads_to(&leads);
        assert_eq!(
            weld.contains(&format!("&date={day}")),
            place < morning,
            "{weld}"
        );
        let html = browser.get(&weld).await.text().await.unwrap();
        assert!(
            html.contains("<svg") && html.contains("id=\"main\""),
            "{html}"
        );
        page = weld.replace("/ui/weld?", "/ui/next?");
    }
    assert!(leads_to(&browser.get(&page).await).starts_with("/ui/nok?"));
    let html = browser
        .get(&format!("/ui/nok?day={day}&shift=noon"))
        .await
        .text()
        .await
        .unwrap();
    assert!(
        html.contains("not one of console.shifts: early, late, night"),
        "{html}"
    );

    let body = plant
        .fleet
        .clickhouse
        .value("SELECT any(timer_name) FROM spot_records")
        .await;
    let known = format!(
        "spot_records WHERE final_result = 'NOK' AND data_date = {day} AND timer_name = '{body}'"
    );
    let known = plant.fleet.clickhouse.count(&known).await;
    assert_eq!(count(&format!("body={body}")).await, known);

    // The first page compares the shift that goes on with the days before, line by line.
    let lines = plant
        .fleet
        .clickhouse
        .value("SELECT any(part_no) FROM spot_records")
        .await;
    eventually("the shares by line", SOON, async || {
        let html = browser.get("/ui?lang=en").await.text().await.unwrap();
        (html.contains("NOK share, this shift") && html.contains(&format!("<td>{lines}</td>")))
            .then_some(())
    })
    .await;

    // A MySQL that hangs keeps nobody from the list.
    plant.fleet.services.pause(Service::MySql);
    let begun = std::time::Instant::now();
    let html = browser.get(&format!("/ui/nok?day={day}")).await;
    let html = html.text().await.unwrap();
    plant.fleet.services.cont(Service::MySql);
    assert_eq!(html.matches("/ui/weld?").count() as u64, NOK, "{html}");
    assert!(html.contains("mysql has not answered"), "{html}");
    assert!(begun.elapsed() < SOON / 2, "{:?}", begun.elapsed());

    plant.fleet.services.stop(Service::MySql);
    let html = browser
        .get(&format!("/ui/nok?day={day}"))
        .await
        .text()
        .await
        .unwrap();
    assert_eq!(
        html.matches("/ui/weld?").count() as u64,
        NOK,
        "listed without reviews"
    );
    assert!(html.contains("mysql.url"), "and it says why: {html}");
    let csv = browser.get(&format!("/ui/nok.csv?day={day}")).await;
    assert_eq!(csv.status(), 503, "a list that lacks its reviews is none");
    let html = browser
        .get(&format!("/ui/weld?day={day}&id=5"))
        .await
        .text()
        .await
        .unwrap();
    assert!(
        html.contains("<svg") && html.contains("mysql.url"),
        "{html}"
    );
}

/// An application's column that holds less than people say: welds are judged and mirrored, and reviewed once it is
/// wider, by the same scheduler.
#[tokio::test]
async fn a_column_that_cannot_hold_a_review_stops_reviews_and_nothing_else() {
    let fleet = Fleet::with(&[
        ("tables.result_table", "weld_confirm"),
        (
            "mysql.columns",
            "{ final_result = \"verdict\", review_result = \"said\", review_note = \"remark\" }",
        ),
    ])
    .await;
    let table = "CREATE TABLE weld_confirm (nid INT AUTO_INCREMENT PRIMARY KEY, verdict VARCHAR(8), \
                 said ENUM('confirmed', 'false alarm', 'unsure'), remark VARCHAR(10)) DEFAULT CHARSET = utf8mb4";
    fleet.mysql.execute(table).await;
    let plant = Plant::of(fleet).await;
    plant.fleet.simulate("today", 10, &[]);
    let nok = "UPDATE spot_records SET alg_status = 'ok', final_result = 'NOK', alg_complete_time = now64(3) WHERE record_id = 3";
    plant.fleet.clickhouse.execute(nok).await;
    eventually("the weld is mirrored", SOON, async || {
        let rows = plant.fleet.mysql.count("weld_confirm").await;
        (rows == 1).then_some(())
    })
    .await;

    let what = "mysql.columns.review_note: table `weld_confirm`: column `remark` is varchar(10): it holds 10 characters, \
                not 255; map a column that stays empty until somebody reviews the row";
    for (binary, args) in [("scheduler", &["migrate"][..]), ("worker", &["check"])] {
        let output = plant.fleet.run(binary, args);
        let told = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert!(
            output.status.success() && told.contains("no weld can be reviewed in the console"),
            "{told}"
        );
        assert!(told.contains(what), "{told}");
    }
    let mut browser = plant.signed_in("reviewer").await;
    let day = day_before(0);
    let weld = format!("/ui/weld?day={day}&id=3");
    let what_zh = "mysql.columns.review_note：表 `weld_confirm`：列 `remark` 为 varchar(10)：只能保存 10 个字符，需要 255 个；请映射";
    for (lang, begins, what) in [
        ("en", "welds cannot be reviewed: ", what),
        ("zh", "无法复核", what_zh),
    ] {
        let page = format!("{weld}&lang={lang}");
        let html = unescaped(&browser.get(&page).await.text().await.unwrap());
        assert!(
            html.contains(begins) && html.contains(what) && !html.contains("/ui/review?"),
            "{html}"
        );
        let action = format!("/ui/review?day={day}&id=3&ticks=1&lang={lang}");
        let was = r#"{"result":"","by":"","at":"","note":""}"#;
        let answer = send(&mut browser, &action, was, "unsure", "longer than ten").await;
        let said = said(&answer);
        assert!(said.contains(begins) && said.contains(what), "{said}");
    }

    let wider = "ALTER TABLE weld_confirm MODIFY COLUMN remark VARCHAR(255)";
    plant.fleet.mysql.execute(wider).await;
    let answer = review(&mut browser, &weld, "unsure", "longer than ten").await;
    assert!(said(&answer).contains("3: "), "{}", said(&answer));
    let kept = plant
        .fleet
        .mysql
        .rows("SELECT said, remark FROM weld_confirm")
        .await;
    assert_eq!(kept, [["unsure", "longer than ten"]]);
}

/// From the key to the next weld's page, of 95 in 100. Alone they took 75 on two cores, beside others' work 161
/// (docs/PERFORMANCE.md): so the best of a few stretches is asked for.
const SLOWEST_MS: u128 = 150;
const STRETCHES: usize = 3;

#[tokio::test]
async fn the_next_of_ten_thousand_nok_welds_is_there_at_once() {
    const WELDS: u64 = 10_000;
    let plant = Plant::start(&[]).await;
    plant.fleet.simulate("today", 20_000, &[]);
    plant
        .fleet
        .clickhouse
        .execute(&format!(
            "UPDATE spot_records SET alg_status = 'ok', final_result = 'NOK', defect = '小焊核', decided_by = 'soft_and', \
             alg_complete_time = now64(3) WHERE record_id <= {WELDS}"
        ))
        .await;
    eventually("the welds are mirrored", SOON, async || {
        let rows = plant.fleet.mysql.count("nok_records").await;
        (rows == WELDS).then_some(())
    })
    .await;
    let mut browser = plant.signed_in("reviewer").await;
    let day = day_before(0);

    // What is asked for may be the oldest of all: each list is looked through to its end.
    let oldest = "SELECT record_id FROM nok_records ORDER BY ck_ticks, record_id LIMIT 1";
    let oldest = plant.fleet.mysql.rows(oldest).await[0][0].clone();
    let review =
        format!("UPDATE nok_records SET review_result = 'unsure' WHERE record_id = '{oldest}'");
    plant.fleet.mysql.execute(&review).await;
    let read = async |page: &str| {
        let answer = browser.get(&format!("{page}day={day}&lang=en")).await;
        answer.text().await.unwrap()
    };
    let list = read("/ui/nok?review=unsure&").await;
    assert!(
        list.matches("/ui/weld?").count() == 1 && list.contains(&format!(">{oldest}</a>")),
        "{list}"
    );
    let csv = read("/ui/nok.csv?").await;
    assert_eq!(csv.lines().count() as u64, 1 + WELDS);
    let csv = read("/ui/nok.csv?review=open&").await;
    assert_eq!(csv.lines().count() as u64, WELDS, "all but one");
    // Half of the reviews is none: a MySQL that hangs leaves no list by reviews.
    plant.fleet.services.pause(Service::MySql);
    let html = read("/ui/nok?review=unsure&").await;
    plant.fleet.services.cont(Service::MySql);
    assert!(
        html.contains("mysql has not answered") && !html.contains("/ui/weld?"),
        "{html}"
    );
    let review =
        format!("UPDATE nok_records SET review_result = NULL WHERE record_id = '{oldest}'");
    plant.fleet.mysql.execute(&review).await;

    let mut page = leads_to(
        &browser
            .get(&format!("/ui/next?day={day}&review=open"))
            .await,
    );
    let mut stretches = Vec::new();
    for _ in 0..STRETCHES {
        let mut took = Vec::new();
        for _ in 0..40 {
            let html = browser.get(&page).await.text().await.unwrap();
            let (action, was) = form(&html);
            let begun = std::time::Instant::now();
            page = leads_to(&send(&mut browser, &action, &was, "confirmed", "").await);
            let shown = browser.get(&page).await.text().await.unwrap();
            took.push(begun.elapsed().as_millis());
            assert!(shown.contains("<svg"), "{shown}");
        }
        took.sort_unstable();
        println!(
            "next weld: median {} ms, 95 of 100 within {} ms",
            took[20], took[37]
        );
        stretches.push(took[37]);
    }
    assert!(stretches.iter().min() < Some(&SLOWEST_MS), "{stretches:?}");
}
