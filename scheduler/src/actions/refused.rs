//! Why an action is refused, or only half done: commands say it in English, the console in both languages.

use std::fmt;

use weldfleet_queue::{Job, State};
use weldfleet_service::{Exit, Failure};
use weldfleet_stores::clickhouse::{Change, Order, Run, RunState};
use weldfleet_words::{Words, words};

use crate::events::fault_in_chinese;

/// What somebody wants of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OfRun {
    Change(Change),
    Order(Order),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refused {
    UnknownRun(u64),
    /// It is in no state for this.
    RunIs {
        run: u64,
        state: RunState,
        wanted: OfRun,
    },
    /// It is stopped, and its jobs could not be taken off the queue.
    StillQueued {
        run: u64,
        state: RunState,
    },
    /// Its order is another one, and its jobs could not be taken off the queue.
    OldOrderQueued {
        run: u64,
    },
    /// Only dead jobs can be retried, and in the console dropped.
    NotDead {
        job: String,
        state: State,
    },
    /// Its run is held or cancelled, so that the next pass would take it off the queue.
    RunStopped {
        job: String,
        run: u64,
        state: RunState,
    },
    /// Somebody has it in hand, or it is done.
    NothingToDrop {
        job: String,
        state: State,
    },
    /// It was claimed or finished at this moment.
    Overtaken {
        job: String,
    },
    /// What it covers cannot be told.
    NoRows {
        job: String,
        why: String,
    },
    /// The fleet stands still while a finished day is settled: until then at the latest.
    Settling {
        until: String,
    },
    /// The same under a person's pause.
    Applying {
        seconds: u64,
        parts: u64,
    },
    /// What was done is not in `weld_events`.
    NotKept(String),
    /// ClickHouse did not say whether it is.
    PerhapsKept(String),
}

impl Refused {
    pub fn not_dead(job: &Job) -> Self {
        Self::NotDead {
            job: job.id.clone(),
            state: job.state,
        }
    }

    pub fn run_is(run: &Run, wanted: OfRun) -> Self {
        Self::RunIs {
            run: run.run,
            state: run.state,
            wanted,
        }
    }

    pub fn words(&self) -> Words {
        match self {
            Self::UnknownRun(run) => words!(
                "there is no run {run}; `scheduler status` shows those there are",
                "没有补跑 {run}；`scheduler status` 显示现有的补跑"
            ),
            Self::RunIs { run, state, wanted } => {
                let (needs, needs_zh) = needs(*wanted);
                words!(
                    "run {run} is {is}: {needs}",
                    "补跑 {run} {zh}：{needs_zh}",
                    is = state.name(),
                    zh = state_zh(*state)
                )
            }
            Self::StillQueued { run, state } => words!(
                "run {run} is {is}, but its jobs are on the queue still; whoever leads takes them off once redis works",
                "补跑 {run} {zh}，但其作业还在队列中；Redis 恢复后由主调度器移出",
                is = state.name(),
                zh = state_zh(*state)
            ),
            Self::OldOrderQueued { run } => words!(
                "the order of run {run} is changed, but jobs in the old one are on the queue still and go first",
                "补跑 {run} 的顺序已更改，但按旧顺序的作业还在队列中，会先执行"
            ),
            Self::NotDead { job, state } => words!(
                "{job}: is {state}, not dead; nothing was done to it",
                "{job}：状态为{zh}，不是死信，未执行",
                zh = job_state_zh(*state)
            ),
            Self::RunStopped {
                job,
                run,
                state: RunState::Held,
            } => words!(
                "{job}: run {run} is held; `scheduler backfill resume {run}` first",
                "{job}：补跑 {run} 已搁置；请先 `scheduler backfill resume {run}`"
            ),
            Self::RunStopped { job, run, state } => words!(
                "{job}: run {run} is {is}, so that its jobs leave the queue; `scheduler backfill` judges its days again",
                "{job}：补跑 {run} {zh}，其作业会移出队列；如需重新判定请再次 `scheduler backfill`",
                is = state.name(),
                zh = state_zh(*state)
            ),
            Self::NothingToDrop { job, state } => words!(
                "{job}: is {state}, nothing to drop",
                "{job}：状态为{zh}，没有可放弃的",
                zh = job_state_zh(*state)
            ),
            Self::Overtaken { job } => words!(
                "{job}: was claimed or finished at this moment; its rows keep what was written first",
                "{job}：此刻刚被领取或完成；数据行保留先写入的结果"
            ),
            Self::NoRows { job, why } => words!(
                "{job}: {why}; no row is marked",
                "{job}：无法得知其数据行，未标记任何行（{why}）"
            ),
            Self::Settling { until } => words!(
                "a finished day is settled, and verdicts written meanwhile could be lost; the fleet goes on by itself, at {until} at the latest",
                "正在整理已完成的日期，期间写入的判定可能丢失；最迟 {until} 自动继续"
            ),
            Self::Applying { seconds, parts } => words!(
                "clickhouse has been applying patches for {seconds} s, {parts} parts are left, and verdicts written meanwhile could be lost; resume once it is done",
                "ClickHouse 正在合入补丁（已 {seconds} 秒，剩余 {parts} 个 part），期间写入的判定可能丢失；完成后再恢复"
            ),
            Self::NotKept(why) => words!(
                "this is done, and not kept in weld_events: {why}; where the table is missing, `scheduler migrate` makes it",
                "操作已完成，但未记入 weld_events：{zh}；如缺少该表，用 `scheduler migrate` 建立",
                zh = fault_in_chinese(why)
            ),
            Self::PerhapsKept(why) => words!(
                "this is done; it is not known whether it is kept in weld_events: {why}",
                "操作已完成，但无法确认是否已记入 weld_events：{zh}",
                zh = fault_in_chinese(why)
            ),
        }
    }

    /// As the error of a command.
    pub fn failure(self) -> Failure {
        let exit = match self {
            Self::UnknownRun(_) => Exit::Usage,
            _ => Exit::Failed,
        };
        Failure::new(exit, self)
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.words().fmt(f)
    }
}

impl std::error::Error for Refused {}

fn needs(wanted: OfRun) -> (&'static str, &'static str) {
    match wanted {
        OfRun::Change(Change::Cancel) => (
            "only one that is open or held can be cancelled",
            "只能取消进行中或搁置的补跑",
        ),
        OfRun::Change(Change::Hold) => {
            ("only one that is open can be held", "只能搁置进行中的补跑")
        }
        OfRun::Change(Change::Resume) => {
            ("only one that is held can be resumed", "只能恢复搁置的补跑")
        }
        OfRun::Order(_) => (
            "only one that is open or held can be given another order",
            "只能更改进行中或搁置的补跑的顺序",
        ),
    }
}

pub fn state_zh(state: RunState) -> &'static str {
    match state {
        RunState::Open => "进行中",
        RunState::Held => "已搁置",
        RunState::Cancelled => "已取消",
        RunState::Closed => "已完成",
    }
}

pub fn job_state_zh(state: State) -> &'static str {
    match state {
        State::Pending => "待领取",
        State::Leased => "处理中",
        State::Delayed => "延后重试",
        State::Splitting => "待二分",
        State::Dead => "死信",
        State::Done => "已完成",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use weldfleet_testkit::is_chinese;

    #[test]
    fn every_refusal_is_said_in_both_languages() {
        let run = 7;
        let job = || "20261122-0".to_owned();
        let mut all = vec![
            Refused::UnknownRun(run),
            Refused::OldOrderQueued { run },
            Refused::Overtaken { job: job() },
            Refused::NoRows {
                job: job(),
                why: "field run".to_owned(),
            },
            Refused::NotKept("clickhouse: away".to_owned()),
            Refused::PerhapsKept("clickhouse: no answer".to_owned()),
            Refused::Settling {
                until: "12:00:30".to_owned(),
            },
            Refused::Applying {
                seconds: 5,
                parts: 2,
            },
        ];
        let orders = [Order::Oldest, Order::Newest].map(OfRun::Order);
        let changes = [Change::Cancel, Change::Hold, Change::Resume].map(OfRun::Change);
        for state in [
            RunState::Open,
            RunState::Held,
            RunState::Cancelled,
            RunState::Closed,
        ] {
            all.push(Refused::StillQueued { run, state });
            all.push(Refused::RunStopped {
                job: job(),
                run,
                state,
            });
            let wanted = orders.into_iter().chain(changes);
            all.extend(wanted.map(|wanted| Refused::RunIs { run, state, wanted }));
        }
        for state in State::ALL {
            all.push(Refused::NotDead { job: job(), state });
            all.push(Refused::NothingToDrop { job: job(), state });
        }
        let mut kinds = std::collections::HashSet::new();
        for refused in all {
            let words = refused.words();
            assert!(is_chinese(&words.zh) && !is_chinese(&words.en), "{words:?}");
            assert_eq!(refused.to_string(), words.en);
            kinds.insert(std::mem::discriminant(&refused));
        }
        // Which there are, `words` says; a new one is to be added here.
        assert_eq!(kinds.len(), 13);
    }
}
