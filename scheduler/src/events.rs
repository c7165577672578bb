//! What an event says of its own, in both languages. It is kept in English, which is one text for whoever asks
//! ClickHouse, and read back by its message where a page is in Chinese. What people have typed, and why a job died,
//! stay as they are.

use weldfleet_stores::clickhouse::{EventLine, Events};
use weldfleet_words::Words;

use crate::{
    console::words::CHINESE,
    faults::{BREAKER, CONNECTIONS, FAULT, LACKS, NEEDS, PROBLEMS, REFUSAL, REFUSALS, REMEDIES},
    messages::{Message, message},
    users::Role,
};

/// Redis has lost a pause, or somebody has deleted its key.
pub const PAUSE_LOST: &str = "pause lost";
/// The latest of these says whether the fleet should stand still.
pub const OF_PAUSES: [&str; 3] = ["pause", "resume", PAUSE_LOST];
pub const RESUMED: Message = message("was paused by {by}: {why:pause}", "此前由 {by} 暂停：{why}");
pub const BACKFILL: Message = message(
    "{from} to {to}, {rows} rows, {wanted:selection}",
    "{from} 至 {to}，{rows} 行，选取：{wanted}",
);
pub const LEFT: Message = message("{jobs} jobs left the queue", "{jobs} 个作业移出队列");
pub const LEFT_IN_HAND: Message = message(
    "{jobs} jobs left the queue, {leased} of them leased, {dead} dead",
    "{jobs} 个作业移出队列，其中处理中 {leased}，死信 {dead}",
);
pub const STILL_QUEUED: Message = message("its jobs are on the queue still", "其作业还在队列中");
pub const ORDER: Message = message(
    "{order:order} first, was {before:order}; {left:left}",
    "从{order}日期开始，此前从{before}日期开始；{left}",
);
pub const DROPPED: Message = message(
    "{rows} rows marked invalid ({why})",
    "{rows} 行标为无效（{why}）",
);
pub const DROPPED_KEPT: Message = message(
    "{rows} rows marked invalid ({why}), {kept} keep their verdict",
    "{rows} 行标为无效（{why}），{kept} 行保留原判定",
);
pub const REPAIRED: Message = message("{jobs} damaged jobs repaired", "已修复 {jobs} 个损坏的作业");
pub const FORGOTTEN: Message = message(
    "{jobs} outstanding jobs were forgotten",
    "不再跟踪 {jobs} 个未完成的作业",
);
pub const REVIEW: Message = message("{now:review}", "{now}");
pub const REVIEW_WAS: Message =
    message("{now:review}; was {before:review}", "{now}；此前：{before}");
pub const REVIEW_WAS_NOTED: Message = message(
    "{now:review}; was {before:review}, `{note}`",
    "{now}；此前：{before}，备注“{note}”",
);
pub const TAKEN_BACK: Message = message("taken back", "撤销");
pub const STREAK: Message = message(
    "{welds} welds, the last is {time} {id}",
    "{welds} 个焊点，最后一个为 {time} {id}",
);
pub const STREAK_AT: Message = message(
    "spot {name} of part {part}, timer {timer}, from weld {key}",
    "零件 {part} 的焊点号 {name}，控制器 {timer}，从焊点 {key} 起",
);
pub const STREAK_OF: Message = message("hits of {rule} in a row", "规则 {rule} 连续命中");
pub const QUIET: Message = message("complete, quiet days", "日期已完成，且不再有写入");
pub const STOOD_STILL: Message = message(
    "the fleet stood still for {time:span}",
    "为整理日期，全部判定暂停了 {time}",
);
pub const STOOD_STILL_LEFT: Message = message(
    "the fleet stood still for {time:span}; {days} days are left",
    "为整理日期，全部判定暂停了 {time}；剩余 {days} 天",
);
/// What is said of a store behind its name.
const OF_STORES: [Message; 3] = [
    message("no answer for {seconds} s", "{seconds} 秒没有应答"),
    message(
        "the rows of the live days could not be counted within {seconds} s",
        "{seconds} 秒内未能统计实时日期的行数",
    ),
    message(
        "the rows of backfills and older days are being counted still",
        "正在统计补跑和更早日期的行数",
    ),
];
/// What came of the jobs of a run that is stopped, or has another order.
const LEFTS: [Message; 3] = [LEFT_IN_HAND, LEFT, STILL_QUEUED];
const ROLE: Message = message("{role:role}", "{role}");
/// Of a weld that nobody has reviewed, or whose review was taken back.
pub const NOT_REVIEWED: &str = "not reviewed";
pub const BY: Message = message("{review:review} by {name}", "{review}（{name}）");

/// What was done: its word, and what it may say.
type Kind = (&'static str, &'static str, &'static [Message]);
const KINDS: [Kind; 19] = [
    ("pause", "暂停", &[]),
    ("resume", "恢复", &[RESUMED]),
    (PAUSE_LOST, "暂停状态丢失", &[RESUMED]),
    ("backfill", "补跑", &[BACKFILL]),
    ("backfill cancel", "取消补跑", &LEFTS),
    ("backfill hold", "搁置补跑", &LEFTS),
    ("backfill resume", "恢复补跑", &LEFTS),
    ("backfill order", "更改补跑顺序", &[ORDER]),
    ("jobs retry", "重试作业", &[]),
    ("jobs drop", "放弃作业", &[DROPPED, DROPPED_KEPT]),
    ("jobs repair", "修复作业", &[REPAIRED]),
    ("jobs take-queue", "接管队列", &[FORGOTTEN]),
    ("review", "复核", &[REVIEW_WAS_NOTED, REVIEW_WAS, REVIEW]),
    ("settle", "整理日期", &[STOOD_STILL_LEFT, STOOD_STILL]),
    ("hit streak", "连续命中", &[STREAK]),
    ("users add", "添加用户", &[ROLE]),
    ("users role", "更改角色", &[ROLE]),
    ("users remove", "删除用户", &[]),
    ("users password", "更改密码", &[]),
];

/// On what.
const ON_WHAT: [Message; 9] = [
    message("fleet", "系统"),
    message("run {run}", "补跑 {run}"),
    message("job {id}", "作业 {id}"),
    message("weld {key}", "焊点 {key}"),
    message("user {name}", "用户 {name}"),
    message("days {from}..{to}", "日期 {from} 至 {to}"),
    message("partitions {ids}", "分区 {ids}"),
    STREAK_AT,
    // As it was told before timer and part belonged to it.
    message(
        "spot {name} from weld {key}",
        "焊点号 {name}，从焊点 {key} 起",
    ),
];

/// Reasons that nobody has typed.
const REASONS: [(&str, Message); 5] = [
    ("pause", BREAKER[0]),
    ("pause", BREAKER[1]),
    ("review", TAKEN_BACK),
    ("settle", QUIET),
    ("hit streak", STREAK_OF),
];

/// Whether a pause was lost, and nobody has paused or resumed since; not where the events cannot be read.
pub async fn is_pause_lost(events: &Events) -> bool {
    let last = events.last_of(&OF_PAUSES).await;
    last.is_ok_and(|last| last.is_some_and(|last| last.what == PAUSE_LOST))
}

/// The same in Chinese; what is no message of ours stays.
pub fn in_chinese(mut event: EventLine) -> EventLine {
    let mut kinds = KINDS.iter();
    if let Some((what, zh, details)) = kinds.find(|(what, ..)| *what == event.what) {
        let mut reasons = REASONS.iter().filter(|(of, _)| of == what);
        if let Some(why) = reasons.find_map(|(_, why)| why.chinese(&event.why)) {
            event.why = why;
        }
        if let Some(detail) = chinese(details, &event.detail) {
            event.detail = detail;
        }
        event.what = (*zh).to_owned();
    }
    if let Some(on_what) = chinese(&ON_WHAT, &event.on_what) {
        event.on_what = on_what;
    }
    event
}

fn chinese(messages: &[Message], text: &str) -> Option<String> {
    messages.iter().find_map(|message| message.chinese(text))
}

/// A line that ends with this message, which is in Chinese then.
fn at_the_end(message: &Message, line: &str) -> Option<String> {
    let (first, _) = pieces(message.en).next()?;
    let place = line.find(first)?;
    let zh = message.chinese(&line[place..])?;
    Some(format!("{}{zh}", &line[..place]))
}

/// What a store says, where it is a fault or a remedy of ours, or about a connection; all else stays.
pub fn fault_in_chinese(said: &str) -> String {
    let lines = said.lines().map(|line| {
        let mut of_stores = OF_STORES.iter();
        of_stores
            .find_map(|message| at_the_end(message, line))
            .or_else(|| chinese(&REFUSALS, line))
            .or_else(|| FAULT.chinese(line))
            .or_else(|| before_a_remedy(line))
            .unwrap_or_else(|| connection_in_chinese(line))
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// A line that ends with a remedy.
fn before_a_remedy(line: &str) -> Option<String> {
    let mut places = line.match_indices("; ").map(|(place, _)| place);
    places.find_map(|place| {
        let remedy = chinese(&REMEDIES, &line[place + 2..])?;
        Some(format!(
            "{}；{remedy}",
            connection_in_chinese(&line[..place])
        ))
    })
}

/// What the operating system says of a connection, with all that was said behind it. What a server says is its own.
fn connection_in_chinese(line: &str) -> String {
    let mut known = CONNECTIONS.iter();
    let said = known.find(|(said, _)| line.contains(said) && !line.contains("Exception"));
    said.map_or_else(|| line.to_owned(), |(_, zh)| format!("{zh}（{line}）"))
}

/// Why the breaker paused the fleet, and what to do; `None` where it was not the breaker.
pub fn breakers_pause(reason: &str) -> Option<(Words, Words)> {
    let zh = chinese(&BREAKER, reason)?;
    let (why, remedy) = reason.split_once("; ")?;
    let (why_zh, remedy_zh) = zh.split_once('；')?;
    let why_zh = why_zh.trim_start_matches("熔断器：");
    Some((Words::new(why, why_zh), Words::new(remedy, remedy_zh)))
}

/// Why the fleet is paused: in Chinese where the breaker says it.
pub fn pause_in_chinese(reason: &str) -> String {
    chinese(&BREAKER, reason).unwrap_or_else(|| reason.to_owned())
}

impl Message {
    /// With these values, in the order of the English placeholders.
    pub fn words(&self, values: &[&str]) -> Words {
        let places = pieces(self.en).filter_map(|(_, place)| place);
        let named = places.zip(values).map(|(place, value)| {
            let (name, kind) = place.split_once(':').unwrap_or((place, ""));
            (name, value_in_chinese(kind, value))
        });
        let named: Vec<(&str, String)> = named.collect();
        let of_name = |name: &str| named.iter().find(|(known, _)| *known == name);
        let (mut en, mut zh) = (String::new(), String::new());
        for (place, (before, _)) in pieces(self.en).enumerate() {
            en.push_str(before);
            en.push_str(values.get(place).unwrap_or(&""));
        }
        for (before, place) in pieces(self.zh) {
            zh.push_str(before);
            zh.push_str(place.and_then(of_name).map_or("", |(_, value)| value));
        }
        Words::new(en, zh)
    }

    /// A text that says this.
    pub fn chinese(&self, text: &str) -> Option<String> {
        Some(self.words(&self.read(text)?).zh)
    }

    /// What is in the placeholders, if it is such a text.
    fn read<'t>(&self, text: &'t str) -> Option<Vec<&'t str>> {
        let pieces: Vec<_> = pieces(self.en).collect();
        let mut rest = text.strip_prefix(pieces.first()?.0)?;
        let mut values = Vec::new();
        for (place, (literal, _)) in pieces.iter().enumerate().skip(1) {
            let is_last = place + 1 == pieces.len();
            let (value, after) = match is_last {
                true => (rest.strip_suffix(literal)?, ""),
                false => rest.split_once(literal)?,
            };
            values.push(value);
            rest = after;
        }
        rest.is_empty().then_some(values)
    }
}

/// Each stretch of text with the placeholder behind it; behind the last is none.
fn pieces(text: &str) -> impl Iterator<Item = (&str, Option<&str>)> {
    text.split('}').map(|piece| match piece.split_once('{') {
        Some((before, place)) => (before, Some(place)),
        None => (piece, None),
    })
}

/// As a run says which rows it wants.
fn is_selection(value: &str) -> bool {
    matches!(value, "new" | "force") || value.starts_with("status:")
}

/// Records that MySQL refuses, each with what it says.
fn refused_in_chinese(records: &str) -> String {
    let records = records.split("; weld ");
    let records = records.map(|record| {
        let record = record.trim_start_matches("weld ");
        REFUSAL.chinese(record).unwrap_or_else(|| record.to_owned())
    });
    records.collect::<Vec<_>>().join("；")
}

fn value_in_chinese(kind: &str, value: &str) -> String {
    let known = match kind {
        "left" => chinese(&LEFTS, value),
        "pause" => Some(pause_in_chinese(value)),
        "refused" => Some(refused_in_chinese(value)),
        "needs" => chinese(&NEEDS, value),
        "lack" => chinese(&LACKS, value),
        "problem" => chinese(&PROBLEMS, value),
        "remedy" => chinese(&REMEDIES, value),
        "order" => match value {
            "oldest" => Some("最早".to_owned()),
            "newest" => Some("最近".to_owned()),
            _ => None,
        },
        "review" => Some(match value {
            NOT_REVIEWED => "未复核".to_owned(),
            value => BY
                .chinese(value)
                .unwrap_or_else(|| CHINESE.review_word(value).to_owned()),
        }),
        "role" => {
            let mut all = Role::ALL.into_iter();
            let role = all.find(|role| role.name() == value);
            role.map(|role| CHINESE.roles[role as usize].to_owned())
        }
        "selection" if is_selection(value) => Some(CHINESE.selection(value)),
        "span" => Some(CHINESE.span(value)),
        _ => None,
    };
    known.unwrap_or_else(|| value.to_owned())
}

#[cfg(test)]
mod tests {
    use weldfleet_breaker::{Limits, Window, decide};

    use super::*;

    fn told(what: &str, on_what: &str, why: &str, detail: &str) -> [String; 4] {
        let event = in_chinese(EventLine {
            at_ms: 0,
            id: 0,
            who: String::new(),
            what: what.to_owned(),
            on_what: on_what.to_owned(),
            why: why.to_owned(),
            detail: detail.to_owned(),
        });
        [event.what, event.on_what, event.why, event.detail]
    }

    #[test]
    fn what_the_fleet_says_of_an_event_is_read_back_in_chinese() {
        let review = "unsure by li; was confirmed by wu, `a; was b, `c``";
        for (event, zh) in [
            (
                [
                    "resume",
                    "fleet",
                    "done",
                    "was paused by li: a crash: again",
                ],
                ["恢复", "系统", "done", "此前由 li 暂停：a crash: again"],
            ),
            (
                [
                    "backfill order",
                    "run 7",
                    "",
                    "newest first, was oldest; 1,203 jobs left the queue",
                ],
                [
                    "更改补跑顺序",
                    "补跑 7",
                    "",
                    "从最近日期开始，此前从最早日期开始；1,203 个作业移出队列",
                ],
            ),
            (
                [
                    "backfill cancel",
                    "run 7",
                    "fleet",
                    "3 jobs left the queue, 1 of them leased, 1 dead",
                ],
                [
                    "取消补跑",
                    "补跑 7",
                    "fleet",
                    "3 个作业移出队列，其中处理中 1，死信 1",
                ],
            ),
            (
                ["review", "weld 20261128 08:00:00 7", "taken back", review],
                [
                    "复核",
                    "焊点 20261128 08:00:00 7",
                    "撤销",
                    "不确定（li）；此前：已确认（wu），备注“a; was b, `c`”",
                ],
            ),
            (
                ["review", "weld 7", "a crack", "false alarm by li"],
                ["复核", "焊点 7", "a crack", "误报（li）"],
            ),
            (
                ["review", "weld 7", "", "not reviewed; was Gut"],
                ["复核", "焊点 7", "", "未复核；此前：Gut"],
            ),
            (
                [
                    "settle",
                    "days 20261101..20261102",
                    "",
                    "the fleet stood still for 3 min 20 s; 2 days are left",
                ],
                [
                    "整理日期",
                    "日期 20261101 至 20261102",
                    "",
                    "为整理日期，全部判定暂停了 3 分 20 秒；剩余 2 天",
                ],
            ),
            (
                [
                    "settle",
                    "partitions 20261101",
                    "complete, quiet days",
                    "the fleet stood still for 850 ms",
                ],
                [
                    "整理日期",
                    "分区 20261101",
                    "日期已完成，且不再有写入",
                    "为整理日期，全部判定暂停了 850 毫秒",
                ],
            ),
            (
                [
                    "hit streak",
                    "spot A of part P-1, timer T1, from weld 08:00 7",
                    "hits of expulsion in a row",
                    "3 welds, the last is 08:02 9",
                ],
                [
                    "连续命中",
                    "零件 P-1 的焊点号 A，控制器 T1，从焊点 08:00 7 起",
                    "规则 expulsion 连续命中",
                    "3 个焊点，最后一个为 08:02 9",
                ],
            ),
            (
                [
                    "backfill",
                    "run 7",
                    "",
                    "20261101 to 20261102, 3,000 rows, new",
                ],
                [
                    "补跑",
                    "补跑 7",
                    "",
                    "20261101 至 20261102，3,000 行，选取：未判定的行",
                ],
            ),
            (
                [
                    "backfill cancel",
                    "run 7",
                    "",
                    "its jobs are on the queue still",
                ],
                ["取消补跑", "补跑 7", "", "其作业还在队列中"],
            ),
            (
                ["users role", "user li", "", "operator"],
                ["更改角色", "用户 li", "", "操作员"],
            ),
            // Why a job died is the worker's, and what a later fleet does is unknown here.
            (
                ["jobs retry", "job 20261101-3", "", "taken back"],
                ["重试作业", "作业 20261101-3", "", "taken back"],
            ),
            (
                [
                    "move",
                    "a robot",
                    "complete, quiet days",
                    "3 jobs left the queue",
                ],
                [
                    "move",
                    "a robot",
                    "complete, quiet days",
                    "3 jobs left the queue",
                ],
            ),
        ] {
            let [what, on_what, why, detail] = event;
            assert_eq!(told(what, on_what, why, detail), zh);
        }
    }

    #[test]
    fn each_message_has_the_same_placeholders_in_both_languages_and_is_read_as_it_was_filled() {
        let details = KINDS.iter().flat_map(|(.., messages)| messages.iter());
        let reasons = REASONS.iter().map(|(_, message)| message);
        let of_stores = REFUSALS
            .iter()
            .chain(&NEEDS)
            .chain(&LACKS)
            .chain([&REFUSAL]);
        let of_events = details.chain(reasons).chain(&ON_WHAT).chain([&BY]);
        for message in of_events.chain(of_stores) {
            let values: Vec<String> = (0..pieces(message.en).count() - 1)
                .map(|place| format!("x{place}"))
                .collect();
            let values: Vec<&str> = values.iter().map(String::as_str).collect();
            let words = message.words(&values);
            assert!(!words.zh.contains(['{', '}']), "{words:?}");
            for value in &values {
                assert!(words.zh.contains(value), "{words:?}");
            }
            assert_eq!(message.read(&words.en), Some(values), "{words:?}");
        }
    }

    /// The breaker says it in English; a window of each kind is read back.
    #[test]
    fn every_pause_of_the_breaker_is_read_back() {
        let limits = Limits {
            invalid_share: 0.5,
            over_ranges: 4,
            over_rows: 40,
            same_verdict_rows: 100,
        };
        let said = |unjudged, same_rows| {
            let window = Window {
                ranges: 4,
                rows: 40,
                unjudged,
                same_verdict: "NOK".to_owned(),
                same_rows,
            };
            decide(&limits, &window).unwrap()
        };
        for (reason, why, remedy) in [
            (
                said(40, 0),
                "最近 4 个区间的 40 行中有 100.0 % 无效或出错（上限 50.0 %）",
                "先查看 alg_status/alg_error，检查 [curves]、[validation]；修复后 `scheduler resume`，再 `scheduler backfill --status invalid,error`",
            ),
            (
                said(0, 100),
                "最近 100 个判定全都是 NOK（上限 100 个）",
                "请检查模型、nok_threshold 和规则，再 `scheduler resume`",
            ),
        ] {
            let (said, what_to_do) = breakers_pause(&reason).unwrap();
            assert_eq!((&*said.zh, &*what_to_do.zh), (why, remedy));
            let event = told("pause", "fleet", &reason, "");
            assert_eq!(event[2], format!("熔断器：{why}；{remedy}"));
            let was = format!("was paused by w1: {reason}");
            let event = told("resume", "fleet", "", &was);
            assert_eq!(event[3], format!("此前由 w1 暂停：熔断器：{why}；{remedy}"));
        }
        assert_eq!(breakers_pause("breaker: by hand; see"), None);
    }

    #[test]
    fn faults_and_remedies_are_put_into_chinese_and_what_servers_say_stays() {
        for (said, zh) in [
            (
                "columns.u_curve: table `spot_records`: no column `u_curve`; map it to the plant's name; the table has: a, b\n\
                 tables.source_table: table `spot_records`: result columns are missing: defect; run `scheduler migrate`",
                "columns.u_curve：表 `spot_records`：没有列 `u_curve`；请映射到工厂的列名；表中有：a, b\n\
                 tables.source_table：表 `spot_records`：缺少结果列：defect；请运行 `scheduler migrate`",
            ),
            (
                "clickhouse: list events: no answer for 10 s",
                "clickhouse: list events: 10 秒没有应答",
            ),
            ("no answer for 2 s", "2 秒没有应答"),
            (
                "clickhouse: the rows of backfills and older days are being counted still",
                "clickhouse: 正在统计补跑和更早日期的行数",
            ),
            (
                "clickhouse: read: Code: 47. DB::Exception: no; a table or a column is not what it was: put it back or map it under [columns]; `worker check` names it",
                "clickhouse: read: Code: 47. DB::Exception: no；表或列已改变：请恢复，或在 [columns] 中映射；`worker check` 会指出",
            ),
            (
                "OOM command not allowed; sorry",
                "OOM command not allowed; sorry",
            ),
            (
                "tables.result_table: table `t`: unique key over (a, b) is narrower than a weld's key; drop it: an id of one day is another weld on another day",
                "tables.result_table：表 `t`：唯一键（a, b）包含的列少于焊点的键；请删除该键：不同日期的同一编号是不同的焊点",
            ),
            (
                "mysql refuses 4 records: weld 7 of 20261122: a CHECK; no; weld 8 of 20261122: locked; and 2 more",
                "MySQL 拒绝 4 条记录：20261122 的焊点 7：a CHECK; no；20261122 的焊点 8：locked；另有 2 条",
            ),
            (
                "mysql refuses 1 records: weld 7 of 20261122: X",
                "MySQL 拒绝 1 条记录：20261122 的焊点 7：X",
            ),
            (
                "clickhouse: read: network error: tcp connect error: Connection refused (os error 111)",
                "连接被拒绝，服务未启动或端口错误（clickhouse: read: network error: tcp connect error: Connection refused (os error 111)）",
            ),
            (
                "clickhouse: read: Code: 209. DB::Exception: Socket is timed out",
                "clickhouse: read: Code: 209. DB::Exception: Socket is timed out",
            ),
            // A fault that has no words here keeps its own.
            (
                "k: table `t`: is odd; repair it",
                "k：表 `t`：is odd；repair it",
            ),
        ] {
            assert_eq!(fault_in_chinese(said), zh);
        }
    }
}
