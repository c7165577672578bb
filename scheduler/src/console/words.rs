//! What the console calls things, in both languages. Sentences about one case are [`Words`](weldfleet_words::Words).

use std::time::Duration;

use weldfleet_queue::State;
use weldfleet_service::output::spoken;
use weldfleet_settings::columns::REVIEW_RESULTS as RESULTS;
use weldfleet_stores::clickhouse::RunState;
use weldfleet_weld::{defects::DefectNames, rules::Rule};
use weldfleet_words::Language;

use crate::actions::refused::{job_state_zh, state_zh};

/// A name, and what it is in English and in Chinese; `name[n]` has n of them.
macro_rules! texts {
    ($($(#[$doc:meta])* $name:ident $([$n:literal])?: $en:expr, $zh:expr;)*) => {
        /// What the console calls things, in one language.
        pub struct Text {
            pub lang: Language,
            $($(#[$doc])* pub $name: text_type!($($n)?),)*
        }

        pub static ENGLISH: Text = Text { lang: Language::English, $($name: $en,)* };
        pub static CHINESE: Text = Text { lang: Language::Chinese, $($name: $zh,)* };
    };
}

macro_rules! text_type {
    () => { &'static str };
    ($n:literal) => { [&'static str; $n] };
}

texts! {
    other_language: "中文", "English";
    /// What stands between words.
    colon: ": ", "：";
    semicolon: "; ", "；";
    comma: ", ", "，";
    /// Between the items of a list.
    between: ", ", "、";
    stop: ". ", "。";
    /// Between two sentences that have their stops.
    blank: " ", "";
    open: " (", "（";
    close: ")", "）";
    language: "language", "语言";
    views: "views", "视图";
    skip: "to the content", "跳到内容";
    now: "Now", "运行概况";
    backfills: "Backfills", "补跑";
    workers: "Workers", "工作进程";
    jobs: "Jobs", "作业";
    nok: "NOK welds", "NOK 焊点";
    weld: "Weld", "焊点";
    show: "Show", "显示";
    pareto: "By defect", "按缺陷";
    /// Where a review is asked for.
    pareto_of_all: "By defect, whatever their review", "按缺陷（不论复核结果）";
    pareto_note: "A weld counts for each of its defects.", "有多个缺陷的焊点在每个缺陷中各计一次。";
    /// Of a dead job whose record is damaged.
    unreadable: "unreadable", "无法读取";
    no_defect: "none named", "未注明";
    other_defects: "others", "其他";
    welds: "Welds", "焊点";
    older: "older ones", "更早的";
    further: "further ones", "后面的";
    caption:
        "Pulses are shaded, hits of the rules are vertical lines, those that count for NOK unbroken, limits dotted ones; judged anew by the rules that are configured now.",
        "阴影为脉冲，竖线为规则命中（实线计入 NOK），点线为限值；按当前配置的规则重新判断。";
    verdict: "Stored verdict", "已存判定";
    curves: "voltage, current and resistance of the weld over time", "焊点的电压、电流和电阻随时间的曲线";
    pulses: "pulses", "脉冲";
    as_recorded: "the weld cannot be judged; its curves are shown as they were recorded",
        "该焊点无法判定；曲线按记录原样显示";
    day: "day", "日期";
    shift: "shift", "班次";
    weld_id: "weld", "焊点";
    time: "time", "时间";
    part: "part", "零件号";
    spot: "spot", "焊点号";
    timer: "timer", "控制器";
    body: "body", "车身号";
    line: "line", "产线";
    defect: "defect", "缺陷";
    decided_by: "decided by", "判定依据";
    probability: "NOK probability", "NOK 概率";
    model: "model", "模型";
    reviewed: "review", "复核";
    reviewed_by: "by", "复核人";
    token: "token", "令牌";
    /// Of an attempt: live, or the number of its run.
    run: "run", "来源";
    status: "status", "状态";
    final_result: "verdict", "判定";
    rules: "rules", "规则";
    /// In the order of `ReviewFilter::NAMED`.
    review_filters[6]:
        ["all", "not reviewed", "reviewed", "confirmed", "false alarm", "unsure"],
        ["全部", "未复核", "已复核", "已确认", "误报", "不确定"];
    /// In the order of [`RESULTS`].
    review_results[3]: ["confirmed", "false alarm", "unsure"], ["已确认", "误报", "不确定"];
    /// The same on buttons.
    review_buttons[3]: ["confirmed", "false alarm", "unsure"], ["确认缺陷", "误报", "不确定"];
    pareto_columns[2]: ["defect", "welds"], ["缺陷", "焊点数"];
    limits: "Limits that make the rules say NOK", "使规则判为 NOK 的限值";
    limit_columns[6]:
        ["rule", "from", "worst at, ms", "worst value", "limit", "room"],
        ["规则", "级别", "最差时刻，ms", "最差值", "限值", "余量"];
    hit_columns[7]:
        ["rule", "level", "at, ms", "value", "limit", "beyond the limit", "counts for NOK"],
        ["规则", "级别", "时刻，ms", "数值", "限值", "超出限值", "计入 NOK"];
    dead_columns[3]: ["job", "rows", "why"], ["作业", "数据行", "原因"];
    share_columns[5]:
        ["line", "judged", "NOK", "NOK share", "in the seven days before"],
        ["产线", "已判定", "NOK", "NOK 占比", "此前七天 NOK 占比"];
    share_about[3]: ["shift", "since", "read at"], ["班次", "起始时间", "读取时间"];
    shares: "NOK share, this shift", "本班 NOK 占比";
    /// Above the table; filled in.
    shares_of: "NOK share, this shift {shift} since {since}", "{shift} NOK 占比（自 {since} 起）";
    shares_today: "NOK share, today since {since}", "今日 NOK 占比（自 {since} 起）";
    all_lines: "all", "全部";
    /// Of welds whose line is not told.
    no_line: "no line named", "未注明产线";
    flag: "flag", "缺陷级";
    warn: "warning", "警告";
    hits: "Hits of the rules", "规则命中";
    attempts: "Earlier verdicts", "历次判定";
    show_attempts: "show what attempts made of this weld", "显示历次尝试对该焊点的判定";
    live: "live", "实时";
    models_own: "the model's own threshold", "模型自带";
    /// Why the fusion decided so; `{model}` and the like are filled in.
    why_both:
        "NOK, since both say so: the model ({probability}, from {threshold}) and the rules.",
        "判为 NOK：模型（{probability}，阈值：{threshold}）与规则都判为 NOK。";
    why_not_both:
        "OK, since the model says {model} ({probability}, from {threshold}) and the rules say {rules}: NOK needs both, \
         or a probability of {override}.",
        "判为 OK：模型判为 {model}（{probability}，阈值：{threshold}），规则判为 {rules}；两者都为 NOK 或概率达到 {override} 才判为 NOK。";
    why_override:
        "NOK by the model alone: {probability} is at least {override}, from which it overrules the rules, which say {rules}.",
        "仅凭模型判为 NOK：概率 {probability} 达到高置信度阈值 {override}，以模型为准；规则判为 {rules}。";
    why_model:
        "{final} by the model alone ({probability}, from {threshold}); the rules were off.",
        "仅由模型判为 {final}（{probability}，阈值：{threshold}）；规则未启用。";
    why_rules: "{final} by the rules alone; the model was off.", "仅由规则判为 {final}；模型未启用。";
    /// What today's settings would decide otherwise.
    rules_otherwise:
        "The rules say {now} now, and said {then} when the weld was judged: rules or units were changed since.",
        "规则现在判为 {now}，当时判为 {then}：规则或单位此后有改动。";
    threshold_otherwise:
        "By the threshold of now, {threshold}, the model would not say {then}.",
        "按现在的阈值 {threshold}，模型不会判为 {then}。";
    override_otherwise:
        "By the override threshold of now, {override}, it would be decided otherwise.",
        "按现在的高置信度阈值 {override}，判定会不同。";
    review: "Review", "复核";
    not_reviewed: "Nobody has reviewed this weld.", "该焊点尚未复核。";
    reviewed_as: "Its review", "复核结果";
    /// Of a review; with the verdict's time in the place of `{judged}`.
    of_another_verdict:
        "This was said before the verdict that is stored now, which was made at {judged}.",
        "该复核早于当前存储的判定（判定时间：{judged}）。";
    in_mysql_alone:
        "ClickHouse has this weld no more; MySQL keeps its record.",
        "ClickHouse 中已没有该焊点；MySQL 保留了它的记录。";
    nok_in_mysql_alone:
        "ClickHouse has no NOK weld of this day; MySQL keeps the records of {welds}.",
        "ClickHouse 中没有该日的 NOK 焊点；MySQL 保留了 {welds} 条记录。";
    /// Of times; `{column}`: of a weld, `{plant}`: of shifts and of everything else.
    other_zone:
        "Welds' times are told by {column}, as the table has them; shifts go by {plant}.",
        "焊点时间按表中的时区 {column} 显示；班次按 {plant} 计算。";
    note: "note", "备注";
    keys:
        "Keys: c, f, u review and go on; n the note, Esc out of it; j the next weld; z takes the last review back.",
        "快捷键：c 确认缺陷、f 误报、u 不确定，随后转到下一个；n 写备注，Esc 离开备注；j 下一个；z 撤销上一次复核。";
    keys_without_note:
        "Keys: c, f, u review and go on; j the next weld; z takes the last review back.",
        "快捷键：c 确认缺陷、f 误报、u 不确定，随后转到下一个；j 下一个；z 撤销上一次复核。";
    keys_off: "Turn single keys off", "关闭单键快捷键";
    keys_on: "Turn single keys on", "启用单键快捷键";
    undo: "Take back", "撤销";
    undone: "the review is taken back", "复核已撤销";
    nothing_to_undo: "There is no review to take back.", "没有可撤销的复核。";
    next_weld: "next weld", "下一个焊点";
    no_more: "These are all", "没有更多焊点";
    no_such_review: "this cannot be said of a weld", "不是有效的复核结果";
    review_otherwise: "Not written, somebody was faster", "未写入，该焊点已有新的复核";
    review_gone: "Not written: the review that was here has been taken back.", "未写入：原有的复核已被撤销。";
    verdict_columns[2]: ["column", "value"], ["列", "值"];
    /// In the order of [`MEASURES`].
    measures[4]:
        ["nugget diameter, mm", "indentation, mm", "front sheet left, mm", "stack left, mm"],
        ["焊核直径，mm", "压痕深度，mm", "前板剩余厚度，mm", "总剩余厚度，mm"];
    stands_still: "Nothing is judged until somebody does something", "判定已停止，需要人工处理";
    attention: "It goes on, and something needs attention", "判定在继续，但有事项需要处理";
    in_order: "Nothing needs attention", "无需处理";
    days: "Days", "日期";
    nothing: "there is nothing here", "没有内容";
    as_of: "as of", "截至";
    /// The page is not renewed: the scheduler is silent, or somebody is at it.
    lost: "The scheduler does not answer; what is shown is old.", "调度器没有应答，显示的内容已过时。";
    holding:
        "The lists stand still while something in them is typed, open, marked or about to be pressed.",
        "正在输入、展开、选取或准备点击时，列表暂停刷新。";
    first_of:
        "the oldest {first} of {all} dead jobs are grouped and counted here; the export has them all",
        "此处只对 {all} 个死信作业中最早的 {first} 个分组计数；导出的列表是完整的";
    keeps_up: "keeping up", "是否跟得上";
    yes: "yes", "是";
    no: "no", "否";
    /// With its age in the place of `{}`.
    details_are_old:
        "Rows of backfills and older days, what is not settled and the mirror are {} old.",
        "补跑与更早日期的行数、整理状态和镜像为 {}前的数据。";
    waits: "no, live work waits", "否，实时作业已等待";
    left: "live rows left", "实时剩余行数";
    left_of_runs: "rows left of backfills", "补跑剩余行数";
    /// What is under the days; filled in.
    not_selected:
        "{rows} more rows of these days are not the fleet's (tables.filter).",
        "这些日期另有 {rows} 行不在 tables.filter 的范围内。";
    older_left: "Rows left of older days: {days}.", "更早日期的剩余行数：{days}。";
    more_days: "{days} more days: {rows}", "另有 {days} 天共 {rows}";
    mirror_lag:
        "MySQL has {mirrored} of {committed} NOK rows of {day}.",
        "{day}：{committed} 行 NOK 数据中，MySQL 已有 {mirrored} 行。";
    mirror_kept:
        "{rows} NOK rows of MySQL stay; ClickHouse has no verdict for them.",
        "MySQL 保留 {rows} 行 NOK 数据，ClickHouse 中没有对应的判定。";
    pace: "rows/s in the last minute", "最近一分钟 行/秒";
    eta: "done in", "预计还需";
    pending: "pending jobs", "待领取作业";
    leased: "in hand", "处理中";
    dead: "dead letters", "死信";
    alive: "workers", "工作进程";
    silent: "silent for", "无响应";
    day_columns[9]:
        ["day", "rows", "left", "OK", "NOK", "NOK share", "invalid", "poison", "error"],
        ["日期", "行数", "剩余", "OK", "NOK", "NOK 占比", "无效", "致崩溃", "出错"];
    run_columns[12]:
        [
            "run", "from", "to", "rows wanted", "state", "rows left", "days done", "days left", "days with dead jobs",
            "asked by", "what for", "changed"
        ],
        [
            "补跑", "从", "到", "数据范围与顺序", "状态", "剩余行数", "已完成天数", "剩余天数", "有死信的天数", "提交人", "用途",
            "最近变更（人员：原因）"
        ];
    worker_columns[11]:
        [
            "worker", "state", "leases", "rows/s", "CPU by stage", "device", "GPU busy, memory", "model",
            "room for audit files", "waits for", "address"
        ],
        ["工作进程", "状态", "租约", "行/秒", "各阶段 CPU", "设备", "GPU 占用，显存", "模型", "审计文件剩余空间", "等待", "地址"];
    event_columns[6]: ["time", "who", "what", "on what", "why", "detail"], ["时间", "谁", "操作", "对象", "原因", "详情"];
    cause_columns[4]: ["jobs", "rows", "why", "ids"], ["作业数", "数据行", "原因", "编号"];
    dead_note:
        "Dead jobs by cause. Retried, they run again; dropped, their rows are marked invalid and given up.",
        "按原因分组的死信作业。重试：重新运行；放弃：其数据行标为无效。";
    run_note:
        "Held, a run waits until it is resumed. Cancelled, it ends; rows keep the verdicts they have. In another order, what nobody has begun goes in that.",
        "搁置的补跑等待恢复；取消的补跑到此结束，数据行保留已有判定。更改顺序后，尚未领取的作业按新顺序进行。";
    oldest_first: "oldest day first", "从最早日期开始";
    newest_first: "newest day first", "从最近日期开始";
    events: "Events", "事件";
    /// Of a viewer, a reviewer, an operator.
    roles[3]: ["viewer", "reviewer", "operator"], ["查看者", "复核员", "操作员"];
    sign_in: "Sign in", "登录";
    sign_out: "Sign out", "退出登录";
    name: "name", "用户名";
    password: "password", "密码";
    wrong_password: "The name or the password is wrong.", "用户名或密码不正确。";
    wait_and_sign_in: "Too many tries. Wait half a minute and try again.", "尝试次数过多，请半分钟后再试。";
    not_from_here: "This was not sent by a page of this console. Reload it and try again.", "该请求不是由本控制台的页面发出的，请刷新后重试。";
    go_on: "Go on", "继续";
    reason: "why", "原因";
    pause: "Pause the fleet", "暂停判定";
    resume: "Resume", "恢复";
    hold: "Hold", "搁置";
    cancel: "Cancel", "取消补跑";
    retry: "Retry", "重试";
    drop_jobs: "Drop", "放弃作业（标为无效）";
    type_the_number: "Nothing was done: type how many jobs you mean.", "未执行：请输入作业数量以确认。";
    confirm_by: "how many jobs", "作业数量";
    paused: "paused: nothing new is claimed; leases already held are finished", "已暂停：不再领取新作业，已领取的会完成";
    paused_by: "already paused by", "已被暂停，操作人";
    not_paused: "it is not paused", "当前没有暂停";
    resumed: "resumed: workers claim again", "已恢复：工作进程重新领取作业";
    retried: "{n} jobs run again", "{n} 个作业重新运行";
    dropped: "{n} jobs dropped", "已放弃 {n} 个作业";
    made_invalid: "{n} rows marked invalid (dropped)", "{n} 行标为无效（dropped）";
    kept_verdicts: "{n} rows keep their verdict", "{n} 行保留原判定";
    gone: "{n} are gone already", "{n} 个作业已不存在";
}

/// Columns that a model measures.
pub const MEASURES: [&str; 4] = [
    "diameter",
    "indentation",
    "front_thickness",
    "stack_thickness",
];

/// Who says NOK, and what a Chinese page calls it.
const DEFECTS: [(&str, &str); 8] = [
    ("ml", "模型"),
    ("override", "模型高置信度"),
    ("expulsion", "飞溅"),
    ("interruption", "电流中断"),
    ("resistance_peak", "电阻峰过晚"),
    ("short_pulse", "脉冲过短"),
    ("low_energy", "能量过低"),
    ("resistance_end_high", "末端电阻过高"),
];
/// Who decided.
const DECIDED_BY: [(&str, &str); 4] = [
    ("soft_and", "模型+规则"),
    ("override", "仅模型（高置信度）"),
    ("ml", "仅模型"),
    ("rule", "仅规则"),
];

fn in_chinese(words: &[(&str, &'static str)], name: &str) -> Option<&'static str> {
    let mut words = words.iter();
    words.find(|(known, _)| *known == name).map(|(_, zh)| *zh)
}

impl Text {
    pub fn of(language: Language) -> &'static Self {
        match language {
            Language::English => &ENGLISH,
            Language::Chinese => &CHINESE,
        }
    }

    /// A review's word; what others have written into the column stands as it is.
    pub fn review_word<'w>(&'static self, result: &'w str) -> &'w str {
        let place = RESULTS.iter().position(|known| *known == result);
        place.map_or(result, |place| self.review_results[place])
    }

    /// What said NOK: in a Chinese page in the plant's words, or in ours, with the name by which it is filtered; what
    /// others have written stands as it is.
    pub fn defect_word(&self, defect: &str, names: &DefectNames) -> String {
        if self.lang == Language::English {
            return defect.to_owned();
        }
        let told = defect.split(',').map(|name| {
            let ours = in_chinese(&DEFECTS, name);
            match names.given(name).or(ours) {
                Some(words) => format!("{words}（{name}）"),
                None => name.to_owned(),
            }
        });
        told.collect::<Vec<_>>().join("、")
    }

    /// A rule.
    pub fn rule_word(&self, rule: Rule) -> String {
        self.defect_word(rule.as_str(), &DefectNames::default())
    }

    /// Who decided on a verdict.
    pub fn decided_word<'w>(&self, name: &'w str) -> &'w str {
        match self.lang {
            Language::English => name,
            Language::Chinese => in_chinese(&DECIDED_BY, name).unwrap_or(name),
        }
    }

    /// How long, in words.
    pub fn spoken(&self, duration: Duration) -> String {
        self.span(&spoken(duration))
    }

    /// The same of what is in English words already.
    pub fn span(&self, spoken: &str) -> String {
        match self.lang {
            Language::Chinese => spoken
                .replace(" ms", " 毫秒")
                .replace(" min", " 分")
                .replace(" h", " 小时")
                .replace(" s", " 秒"),
            Language::English => spoken.to_owned(),
        }
    }

    /// Where a job is.
    pub fn job_state(&self, state: State) -> &'static str {
        match self.lang {
            Language::Chinese => job_state_zh(state),
            Language::English => state.as_str(),
        }
    }

    /// Which rows a run judges.
    pub fn selection(&self, selection: &str) -> String {
        match (self.lang, selection.split_once(':')) {
            (Language::English, _) => selection.to_owned(),
            (Language::Chinese, Some((_, statuses))) => format!("状态为 {statuses} 的行"),
            (Language::Chinese, None) if selection == "force" => "全部重新判定".to_owned(),
            (Language::Chinese, None) => "未判定的行".to_owned(),
        }
    }

    /// Where a run stands.
    pub fn run_state(&self, state: RunState) -> &'static str {
        match self.lang {
            Language::Chinese => state_zh(state),
            Language::English => state.name(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn every_judge_and_rule_has_a_chinese_name() {
        let none = DefectNames::default();
        for name in DefectNames::known() {
            assert!(in_chinese(&DEFECTS, name).is_some(), "{name}");
            assert_eq!(ENGLISH.defect_word(name, &none), name);
        }
        for decided in ["soft_and", "override", "ml", "rule"] {
            assert_ne!(CHINESE.decided_word(decided), decided);
        }
        let told = CHINESE.defect_word("ml,expulsion,飞边", &none);
        assert_eq!(told, "模型（ml）、飞溅（expulsion）、飞边");
        let plants = BTreeMap::from([("ml".to_owned(), "小焊核".to_owned())]);
        let plants = DefectNames::try_from(plants).unwrap();
        assert_eq!(CHINESE.defect_word("ml", &plants), "小焊核（ml）");
        assert_eq!(CHINESE.defect_word("", &none), "");
    }

    #[test]
    fn durations_are_said_in_the_pages_language() {
        let said = |seconds| CHINESE.spoken(Duration::from_secs(seconds));
        let all = [7, 200, 4000].map(said);
        assert_eq!(all, ["7 秒", "3 分 20 秒", "1 小时 6 分"]);
        assert_eq!(CHINESE.spoken(Duration::from_millis(9)), "9 毫秒");
        assert_eq!(ENGLISH.spoken(Duration::from_secs(200)), "3 min 20 s");
    }
}
