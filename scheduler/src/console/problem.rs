//! Why a page cannot show or do something, in both languages. What a store or the system says stays as it is said.

use std::net::IpAddr;

use axum::http::StatusCode;
use weldfleet_queue::QueueError;
use weldfleet_service::{Failure, exit::chain};
use weldfleet_stores::{Class, StoreError};
use weldfleet_words::{Language, Words, words};

use super::words::CHINESE;
use crate::{actions::refused::Refused, events::fault_in_chinese, users::Role};

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Problem {
    /// What is typed as a day is none.
    NoDay {
        typed: String,
        why: String,
    },
    NoTicks(String),
    UnknownShift {
        name: String,
        known: Vec<String>,
    },
    UnknownReview {
        typed: String,
        known: String,
    },
    /// A list is asked for by something that it does not know.
    UnknownField {
        name: String,
        known: Vec<&'static str>,
    },
    /// Welds are asked for by their reviews, and there are none.
    NoReviews,
    /// A weld cannot be reviewed: `mysql.enabled` is off.
    NoMySql,
    /// `[mysql.columns]` maps no `review_result`.
    NoReviewColumn,
    /// MySQL has no row of the weld: it is not NOK, or not mirrored yet.
    NoReviewRow,
    Busy,
    Slow {
        seconds: u64,
    },
    TooMany {
        most: usize,
    },
    TooManyJobs {
        most: u32,
    },
    /// None of that day has this key.
    NoWeld,
    /// Neither a page nor a list is called so.
    NoPage,
    /// The rules could not look at it.
    NotDrawn(String),
    MySqlSilent {
        seconds: u64,
    },
    /// Nothing was read yet.
    NothingSeen,
    /// What the last look at the stores could not reach.
    NotReached(Vec<String>),
    /// A store that cannot be reached, or refuses, or answers what nobody expects.
    Store {
        class: Class,
        said: String,
    },
    /// The table of reviews does not take one.
    ReviewRefused {
        class: Class,
        said: String,
    },
    /// A column does not hold what reviewers say.
    UnfitReviews(String),
    Refused {
        refused: Refused,
        said: String,
    },
    Other(String),
    /// What is done must have a reason.
    NoReason,
    LongReason {
        most: usize,
    },
    SignInFirst,
    ReadOnly,
    Role {
        name: String,
        has: Role,
        needs: Role,
    },
    NotFromHere,
    PageTooOld,
    TooMuchSent,
    /// A form that did not come in time.
    TooSlow {
        seconds: u64,
    },
    /// An address or a form that no page of ours has.
    NotUnderstood {
        status: StatusCode,
        said: String,
    },
    NotOnLoopback(IpAddr),
    OtherName,
    /// Through a proxy, as this header says.
    Forwarded(String),
    /// Two of this header.
    ToldTwice(String),
    UnknownToUs {
        header: String,
        name: String,
    },
    NoUsers(String),
}

impl From<&StoreError> for Problem {
    fn from(error: &StoreError) -> Self {
        Self::Store {
            class: error.class(),
            said: error.chain_and_remedy(),
        }
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        Self::from(&error)
    }
}

impl From<QueueError> for Problem {
    fn from(error: QueueError) -> Self {
        weldfleet_fleet::queue_failure(error).into()
    }
}

impl From<Failure> for Problem {
    fn from(failure: Failure) -> Self {
        let error = &failure.error;
        if let Some(refused) = error.downcast_ref::<Refused>() {
            let (refused, said) = (refused.clone(), chain(error));
            return Self::Refused { refused, said };
        }
        if let Some(store) = error.downcast_ref::<StoreError>() {
            return Self::from(store);
        }
        let Some(queue) = error.downcast_ref::<QueueError>() else {
            return Self::Other(chain(error));
        };
        Self::Store {
            class: match queue.is_outage() && !queue.is_denied() {
                true => Class::Outage,
                false => Class::Refused,
            },
            said: chain(error),
        }
    }
}

impl Problem {
    pub fn text(&self, language: Language) -> String {
        self.words().of(language).to_owned()
    }

    /// Of an answer that says this and nothing else.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::NoDay { .. }
            | Self::NoTicks(_)
            | Self::UnknownShift { .. }
            | Self::UnknownReview { .. }
            | Self::UnknownField { .. }
            | Self::TooMany { .. }
            | Self::TooManyJobs { .. } => StatusCode::BAD_REQUEST,
            Self::SignInFirst => StatusCode::UNAUTHORIZED,
            Self::ReadOnly
            | Self::Role { .. }
            | Self::NotFromHere
            | Self::PageTooOld
            | Self::NotOnLoopback(_)
            | Self::OtherName
            | Self::Forwarded(_)
            | Self::ToldTwice(_)
            | Self::UnknownToUs { .. } => StatusCode::FORBIDDEN,
            Self::TooMuchSent => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooSlow { .. } => StatusCode::REQUEST_TIMEOUT,
            Self::NotUnderstood { status, .. } => *status,
            Self::NoWeld | Self::NoPage => StatusCode::NOT_FOUND,
            // Asked for rightly, and will never be there.
            Self::NotDrawn(_) => StatusCode::UNPROCESSABLE_ENTITY,
            _ => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    pub fn words(&self) -> Words {
        match self {
            Self::NoDay { typed, why } => words!(
                "day = {typed}: {why}",
                "day = {typed}：不是日期，应为 YYYYMMDD"
            ),
            Self::NoTicks(typed) => words!(
                "ticks = {typed}: not a whole number",
                "ticks = {typed}：不是整数"
            ),
            Self::UnknownShift { name, known } if known.is_empty() => words!(
                "shift = {name}: console.shifts names none",
                "shift = {name}：console.shifts 未定义班次"
            ),
            Self::UnknownShift { name, known } => {
                let (known, known_zh) = (known.join(", "), known.join("、"));
                words!(
                    "shift = {name}: not one of console.shifts: {known}",
                    "shift = {name}：不在 console.shifts 中：{known_zh}"
                )
            }
            Self::UnknownReview { typed, known } => words!(
                "review = {typed}: not one of {known}; leave it empty for all",
                "review = {typed}：应为 {known_zh} 之一；留空表示全部",
                known_zh = known.replace(", ", "、")
            ),
            Self::UnknownField { name, known } => words!(
                "this list is not asked for by `{name}`, but by {fields}",
                "此列表没有名为 `{name}` 的参数；可用的参数：{fields_zh}",
                fields = known.join(", "),
                fields_zh = known.join("、")
            ),
            Self::NoReviews => words!(
                "nothing can be reviewed: mysql.enabled is off, or [mysql.columns] maps no review_result",
                "无法复核：mysql.enabled 未启用，或 [mysql.columns] 没有映射 review_result"
            ),
            Self::NoMySql => words!(
                "Welds are reviewed in MySQL, and mysql.enabled is off.",
                "复核写入 MySQL，而 mysql.enabled 未启用。"
            ),
            Self::NoReviewColumn => words!(
                "Welds cannot be reviewed: [mysql.columns] maps no review_result.",
                "无法复核：[mysql.columns] 没有映射 review_result。"
            ),
            Self::NoReviewRow => words!(
                "MySQL does not have this weld yet; it can be reviewed once it is mirrored.",
                "MySQL 中还没有该焊点；镜像之后即可复核。"
            ),
            Self::Busy => words!(
                "others are reading the same at this moment; ask again",
                "其他人正在读取，请稍后再试"
            ),
            Self::Slow { seconds } => words!(
                "this takes more than {seconds} s; ask again, or for less",
                "查询超过 {seconds} 秒；请稍后再试或缩小范围"
            ),
            Self::TooMany { most } => words!(
                "more than {most} welds; narrow the filter",
                "超过 {most} 个焊点；请缩小筛选范围"
            ),
            Self::TooManyJobs { most } => words!(
                "more than {most} dead jobs; `scheduler jobs list --state dead --day DAY` lists those of one day",
                "死信作业超过 {most} 个；`scheduler jobs list --state dead --day DAY` 可按日期列出"
            ),
            Self::NoWeld => words!("that day has no such weld", "该日期没有这个焊点"),
            Self::NoPage => words!("no such page or list", "没有此页面或列表"),
            Self::NotDrawn(why) => {
                words!("the curves cannot be drawn: {why}", "无法绘制曲线：{why}")
            }
            Self::MySqlSilent { seconds } => words!(
                "mysql has not answered for {seconds} s, so no review is shown",
                "MySQL {seconds} 秒没有应答，不显示复核"
            ),
            Self::NothingSeen => words!(
                "nothing was seen yet; ask again",
                "尚未读到状态，请稍后再试"
            ),
            Self::NotReached(problems) => {
                let zh: Vec<String> = problems.iter().map(|said| fault_in_chinese(said)).collect();
                words!(
                    "{said}",
                    "无法读取：{zh}",
                    said = problems.join("; "),
                    zh = zh.join("；")
                )
            }
            Self::Store { class, said } => words!("{said}", "{zh}", zh = of_store(*class, said)),
            // What to do about it is said.
            Self::ReviewRefused { class, said } if said.contains("--grants") => {
                words!("{said}", "未写入，{zh}", zh = of_store(*class, said))
            }
            Self::ReviewRefused { class, said } => words!(
                "{said}; `worker check` says what the columns of reviews must hold",
                "未写入，{zh}；`worker check` 会说明复核列须保存的内容",
                zh = of_store(*class, said)
            ),
            Self::UnfitReviews(said) => words!(
                "welds cannot be reviewed: {said}",
                "无法复核，MySQL 的列不能保存复核：{zh}",
                zh = fault_in_chinese(said)
            ),
            Self::Refused { refused, said } => {
                let words = refused.words();
                // Causes below it are the system's own words.
                let below = said.strip_prefix(&words.en).unwrap_or_default();
                let below = below.trim_start_matches([':', ' ']);
                let zh = match below {
                    "" => words.zh,
                    below => format!("{}（{below}）", words.zh),
                };
                Words::new(said.clone(), zh)
            }
            Self::Other(said) => {
                words!("{said}", "未执行：{zh}", zh = fault_in_chinese(said))
            }
            Self::NoReason => words!("nothing was done: say why", "未执行：请填写原因"),
            Self::LongReason { most } => words!(
                "nothing was done: the reason has more than {most} characters",
                "未执行：原因超过 {most} 个字"
            ),
            Self::SignInFirst => words!("sign in first", "请先登录"),
            Self::ReadOnly => words!(
                "nothing can be changed without console.users_file",
                "未配置 console.users_file，只能查看"
            ),
            Self::Role { name, has, needs } => {
                let [has_zh, needs_zh] = [has, needs].map(|role| CHINESE.roles[*role as usize]);
                let [has, needs] = [has, needs].map(|role| role.name());
                words!(
                    "{name} is a {has}, and this needs a {needs}",
                    "{name} 是{has_zh}，该操作需要{needs_zh}"
                )
            }
            Self::NotFromHere => Words::new(
                "this was not sent by a page of this console",
                CHINESE.not_from_here,
            ),
            Self::PageTooOld => words!(
                "the page was too old; reload it and try again",
                "页面已过期，请刷新后重试"
            ),
            Self::TooMuchSent => words!("too much was sent", "提交的内容过多"),
            Self::TooSlow { seconds } => words!(
                "the form did not come within {seconds} s; send it again",
                "提交的内容 {seconds} 秒内未到达；请重新提交"
            ),
            Self::NotUnderstood { said, .. } => words!(
                "this is not understood: {said}",
                "{zh}",
                zh = misread(said).map_or_else(
                    || format!("无法识别该请求：{said}"),
                    |name| format!("参数 {name} 无效"),
                )
            ),
            Self::NotOnLoopback(listens) => words!(
                "the console is shown to whoever asks only where scheduler.http is on loopback, not {listens}; \
                     set console.users_file and let people sign in (`scheduler users add`), \
                     or listen on 127.0.0.1 and reach it with `ssh -L 9100:127.0.0.1:9100 HOST`",
                "仅当 scheduler.http 在回环地址（不是 {listens}）时，才可不登录查看控制台；\
                     请设置 console.users_file 让用户登录（`scheduler users add`），\
                     或监听 127.0.0.1 并用 `ssh -L 9100:127.0.0.1:9100 HOST` 访问"
            ),
            Self::OtherName => words!(
                "the console is shown only under `localhost` or an address, not under another name; \
                 set console.users_file to let people sign in under any name",
                "控制台只能用 `localhost` 或 IP 地址访问，不能用其他主机名；设置 console.users_file 后用户可用任何主机名登录"
            ),
            Self::Forwarded(header) => words!(
                "this came through a proxy, as its {header} says, and whoever asks could look; \
                     set console.users_file and let people sign in (`scheduler users add`)",
                "该请求经过代理（含 {header}），任何人都能查看；\
                     请设置 console.users_file 让用户登录（`scheduler users add`）"
            ),
            Self::ToldTwice(header) => words!(
                "there are two {header} headers; the proxy must overwrite those that it is sent",
                "请求中有两个 {header}；代理须覆盖收到的同名请求头"
            ),
            Self::UnknownToUs { header, name } => words!(
                "{header} says that you are `{name}`, whom console.users_file does not know; \
                     `scheduler users add '{name}' --role viewer --no-password` lets you in",
                "{header} 表明您是 `{name}`，而 console.users_file 中没有该用户；\
                     用 `scheduler users add '{name}' --role viewer --no-password` 添加"
            ),
            Self::NoUsers(why) => words!("{why}", "无法读取用户文件，任何人都不能登录：{why}"),
        }
    }
}

/// The field that an address or a form has wrong, as the extractors say it.
fn misread(said: &str) -> Option<&str> {
    let (_, field) = said
        .strip_prefix("Failed to deserialize ")?
        .split_once(": ")?;
    let (name, _) = field.split_once(": ")?;
    (!name.contains(' ')).then_some(name)
}

/// What a store says, in Chinese, behind its name and what it is about.
fn of_store(class: Class, said: &str) -> String {
    let stores = [
        ("mysql: ", " MySQL "),
        ("clickhouse: ", " ClickHouse "),
        ("redis ", " Redis "),
    ];
    let store = stores.iter().find(|(begins, _)| said.starts_with(begins));
    let (begins, name) = store.copied().unwrap_or(("", "存储服务"));
    let what = match class {
        Class::Outage => format!("无法连接{name}"),
        Class::Refused => format!("{name}拒绝了请求"),
        Class::Retry => format!("{name}暂时未能执行，请重试"),
        Class::Size => format!("查询超出了{name}的限制"),
        Class::Data => "有数据无法读取".to_owned(),
        Class::Fatal => format!("{name}报错"),
    };
    // "redis at …" is a sentence.
    let said = match begins.ends_with(": ") {
        true => said.strip_prefix(begins).unwrap_or(said),
        false => said,
    };
    format!("{}：{}", what.trim(), fault_in_chinese(said))
}

#[cfg(test)]
mod tests {
    use std::{collections::HashSet, mem::discriminant};

    use super::*;
    use weldfleet_testkit::is_chinese;

    fn samples() -> Vec<Problem> {
        let text = || "clickhouse: no".to_owned();
        let classes = [
            Class::Outage,
            Class::Refused,
            Class::Retry,
            Class::Size,
            Class::Data,
            Class::Fatal,
        ];
        let stores = classes.into_iter().flat_map(|class| {
            let (said, again) = (text(), text());
            [
                Problem::Store { class, said },
                Problem::ReviewRefused { class, said: again },
            ]
        });
        let refused = Refused::UnknownRun(7);
        let said = format!("{refused}: timed out");
        let all = [
            Problem::NoDay {
                typed: text(),
                why: text(),
            },
            Problem::NoTicks(text()),
            Problem::UnknownShift {
                name: text(),
                known: Vec::new(),
            },
            Problem::UnknownShift {
                name: text(),
                known: vec![text()],
            },
            Problem::UnknownReview {
                typed: text(),
                known: text(),
            },
            Problem::UnknownField {
                name: text(),
                known: vec!["day"],
            },
            Problem::NoReviews,
            Problem::NoMySql,
            Problem::NoReviewColumn,
            Problem::NoReviewRow,
            Problem::Busy,
            Problem::Slow { seconds: 3 },
            Problem::TooMany { most: 7 },
            Problem::TooManyJobs { most: 7 },
            Problem::NoWeld,
            Problem::NoPage,
            Problem::NotDrawn(text()),
            Problem::MySqlSilent { seconds: 3 },
            Problem::NothingSeen,
            Problem::NotReached(vec![text()]),
            Problem::UnfitReviews(text()),
            Problem::Refused { refused, said },
            Problem::Other(text()),
            Problem::NoReason,
            Problem::LongReason { most: 7 },
            Problem::SignInFirst,
            Problem::ReadOnly,
            Problem::Role {
                name: text(),
                has: Role::Viewer,
                needs: Role::Operator,
            },
            Problem::NotFromHere,
            Problem::PageTooOld,
            Problem::TooMuchSent,
            Problem::TooSlow { seconds: 3 },
            not_understood(text()),
            Problem::NotOnLoopback(IpAddr::from([0, 0, 0, 0])),
            Problem::OtherName,
            Problem::Forwarded(text()),
            Problem::ToldTwice(text()),
            Problem::UnknownToUs {
                header: text(),
                name: text(),
            },
            Problem::NoUsers(text()),
        ];
        stores.chain(all).collect()
    }

    fn not_understood(said: String) -> Problem {
        let status = StatusCode::BAD_REQUEST;
        Problem::NotUnderstood { status, said }
    }

    #[test]
    fn every_problem_is_said_in_both_languages() {
        let mut kinds = HashSet::new();
        for problem in samples() {
            let words = problem.words();
            assert!(is_chinese(&words.zh) && !is_chinese(&words.en), "{words:?}");
            kinds.insert(discriminant(&problem));
        }
        // Which there are, `words` says; a new one is to be added to the samples.
        assert_eq!(kinds.len(), 40);
    }

    #[test]
    fn stores_are_named_and_what_they_say_is_put_into_chinese_one_by_one() {
        let refused = "tcp connect error: Connection refused (os error 111)";
        let store = |class, said: &str| {
            let said = said.to_owned();
            Problem::Store { class, said }.words().zh
        };
        assert_eq!(
            store(Class::Outage, &format!("mysql: list: {refused}")),
            format!("无法连接 MySQL：连接被拒绝，服务未启动或端口错误（list: {refused}）")
        );
        assert_eq!(
            store(Class::Refused, "redis at h:1 refuses: NOPERM"),
            "Redis 拒绝了请求：redis at h:1 refuses: NOPERM"
        );
        assert_eq!(store(Class::Fatal, "odd"), "存储服务报错：odd");
        let several = ["clickhouse: days: no answer for 10 s", "redis: odd"];
        let problem = Problem::NotReached(several.map(str::to_owned).to_vec());
        let words = problem.words();
        assert_eq!(
            words.zh,
            "无法读取：clickhouse: days: 10 秒没有应答；redis: odd"
        );
        assert_eq!(words.en, several.join("; "));
    }

    #[test]
    fn a_field_that_is_misread_is_named() {
        for (said, zh) in [
            (
                "Failed to deserialize query string: page: invalid digit found in string",
                "参数 page 无效",
            ),
            (
                "Failed to deserialize form: run: invalid digit found in string",
                "参数 run 无效",
            ),
            (
                "Failed to deserialize query string: missing field `run`",
                "无法识别该请求：Failed to deserialize query string: missing field `run`",
            ),
        ] {
            assert_eq!(not_understood(said.to_owned()).words().zh, zh);
        }
    }

    #[test]
    fn what_failed_is_recognized_and_its_cause_stands_behind_it() {
        let failure = Refused::StillQueued {
            run: 7,
            state: weldfleet_stores::clickhouse::RunState::Held,
        };
        let below = anyhow::anyhow!("redis at 10.0.0.5:6379 is not available");
        let failure = Failure::new(weldfleet_service::Exit::Failed, below.context(failure));
        let words = Problem::from(failure).words();
        assert!(
            words
                .en
                .ends_with("once redis works: redis at 10.0.0.5:6379 is not available")
        );
        assert!(
            words.zh.starts_with("补跑 7 已搁置")
                && words
                    .zh
                    .ends_with("（redis at 10.0.0.5:6379 is not available）"),
            "{words:?}"
        );
        let other = Problem::from(Failure::usage("redis.queue is odd")).words();
        assert_eq!(other.zh, "未执行：redis.queue is odd");
    }
}
