//! Thresholds, switches, devices, and what belongs to the model.

use std::ops::RangeInclusive;

use weldfleet_words::words;

use crate::{
    OldConfig,
    old::{Old, switch},
};

use super::{Adoption, short};

/// The older service's rule model in the fleet's words.
const BURN_MARKS: &str = include_str!("../burn_marks.toml");
/// Its numbers: what the old configuration calls them, the line of [`BURN_MARKS`] and what may stand there.
const BURN_MARK_VALUES: [(Old, &str, f64, RangeInclusive<f64>); 4] = [
    (Old::RuleFlag, "flag_mohm", 0.065, 0.005..=1.0),
    (Old::RuleWarn, "warn_mohm", 0.040, 0.005..=1.0),
    (Old::RuleWidth, "min_width_ms", 30.0, 1.0..=500.0),
    (Old::RuleBegin, "begin_after_ms", 40.0, 0.0..=1000.0),
];
/// So many hills of a spot in a row were a burn mark, however low.
const STREAK: i64 = 3;
/// What the old service called what it found: judge or rule, its words.
const DEFECT_NAMES: [(&str, &str); 3] = [
    ("ml", "小焊核"),
    ("override", "高置信度"),
    ("resistance_peak", "表面缺陷"),
];

pub(super) fn plan(adoption: &mut Adoption, old: &OldConfig, rules: &str) {
    judges(adoption, old, rules);
    model_folder(adoption, old);
    device(adoption, old);
    probability(
        adoption,
        old,
        Old::NokThreshold,
        ("model", "nok_threshold"),
        0.5,
    );
    if let Some(item) = adoption.items.last_mut()
        && item.key == "nok_threshold"
    {
        item.why = item.why.clone().and(&words!(
            "it stands for the own threshold of every part; where parts have their own, remove it and give \
             import_torch.py the old inference_config.json",
            "它取代每个零件自己的阈值；若零件各有阈值，请删除本行，并把旧的 inference_config.json 交给 import_torch.py",
        ));
    }
    probability(
        adoption,
        old,
        Old::OverrideThreshold,
        ("fusion", "override_threshold"),
        0.9999,
    );
    let names = DEFECT_NAMES.map(|(judge, words)| (judge.to_owned(), words.into()));
    adoption.guessed(
        "fusion",
        "defect_names",
        toml::Table::from_iter(names),
        words!(
            "the old service's words for a small nugget, high confidence and a surface defect; people read them in `defect`, so please \
             confirm or change them",
            "旧服务的说法：小焊核、高置信度、表面缺陷；人员会在 `defect` 中看到，请确认或修改",
        ),
    );
    left_to_the_model(adoption, old);
}

/// Which of model and rules judge; the old rules are taken over where they are on.
fn judges(adoption: &mut Adoption, old: &OldConfig, rules: &str) {
    let mut switches = Vec::new();
    for (meaning, section) in [(Old::ModelEnabled, "model"), (Old::RulesEnabled, "rules")] {
        let Some(found) = old.text(meaning) else {
            continue;
        };
        let (path, text) = (found.path, short(&found.value));
        match switch(&found.value) {
            Some(on) => switches.push((section, on, path)),
            None => adoption.question(
                section,
                "enabled",
                true,
                words!(
                    "`{path}: {text}` is neither true nor false",
                    "`{path}: {text}` 既不是 true 也不是 false",
                ),
            ),
        }
    }
    if switches.iter().filter(|(_, on, _)| !on).count() == 2 {
        adoption.question(
            "model",
            "enabled",
            true,
            words!(
                "the old configuration switches model and rules both off; nothing could judge a weld. Which one is on?",
                "旧配置把模型和规则都关闭了，无法判定焊点；打开哪一个？",
            ),
        );
    } else {
        for (section, on, path) in &switches {
            adoption.mapped(section, "enabled", *on, path);
        }
    }
    if !switches
        .iter()
        .any(|(section, on, _)| *section == "rules" && !on)
    {
        burn_marks(adoption, old, rules);
    }
}

fn model_folder(adoption: &mut Adoption, old: &OldConfig) {
    if let Some(found) = old.text(Old::ModelDir) {
        let path = &found.path;
        let why = words!(
            "from `{path}`; the fleet reads ONNX: `training/import_torch.py` makes it out of the old weights",
            "来自 `{path}`；weldfleet 读取 ONNX：用 `training/import_torch.py` 从旧权重生成",
        );
        adoption.add(
            super::Origin::Mapped,
            "model",
            "model_export_dir",
            found.value.clone(),
            why,
        );
    }
}

/// What stands in a model's own file now.
fn left_to_the_model(adoption: &mut Adoption, old: &OldConfig) {
    for (meaning, key) in [(Old::TargetLen, "target_len"), (Old::NormCoeffs, "scale")] {
        let Some(found) = old.shown(meaning) else {
            continue;
        };
        let (path, value) = (found.path, short(&found.value));
        adoption.notes.push(words!(
            "`{path}: {value}` belongs to the model: `{key}` of its inference_config.json, which the recipe of training/import_torch.py fixes",
            "`{path}: {value}` 属于模型：即其 inference_config.json 的 `{key}`，由 training/import_torch.py 的配方决定",
        ));
    }
}

/// The old rules as a file; what of them is not understood, or cannot be meant, is asked.
fn burn_marks(adoption: &mut Adoption, old: &OldConfig, rules: &str) {
    let mut text = BURN_MARKS.to_owned();
    let mut told = Vec::new();
    let mut odd: Vec<String> = old.unknown_rules().into_iter().map(str::to_owned).collect();
    let mut heights = Vec::new();
    for (meaning, key, usual, range) in BURN_MARK_VALUES {
        let Some(found) = old.text(meaning) else {
            heights.push(usual);
            continue;
        };
        let value = found
            .value
            .parse()
            .ok()
            .filter(|value| range.contains(value));
        heights.push(value.unwrap_or(usual));
        match value {
            Some(value) => {
                let line = format!("\n{key} = {value:?}\n");
                text = replaced(&text, key, &line);
                told.push(found.path);
            }
            None => odd.push(found.path),
        }
    }
    // A warning is a lower hill than a flag.
    if let [flag, warn, ..] = heights.as_slice()
        && warn > flag
    {
        let paths = [Old::RuleFlag, Old::RuleWarn].map(|meaning| old.text(meaning));
        odd.extend(paths.into_iter().flatten().map(|found| found.path));
        let warn = format!("\nwarn_mohm = {flag:?}\n");
        text = replaced(&text, "warn_mohm", &warn);
    }
    let mut streak = STREAK;
    if let Some(found) = old.text(Old::RuleStreak) {
        match found.value.parse() {
            Ok(welds @ 2..=1000) => streak = welds,
            _ => odd.push(found.path),
        }
    }
    if odd.is_empty() {
        let paths = told.join("`, `");
        let why = match told.is_empty() {
            true => words!(
                "the old rules looked for burn marks; that file says the same, and only it makes the rules say NOK",
                "旧规则查找烧伤；该文件作同样的判断，并且只有它使规则判为 NOK",
            ),
            false => words!(
                "the old rules looked for burn marks; that file does so with the values of `{paths}`, and only it makes the rules say NOK",
                "旧规则查找烧伤；该文件按 `{paths}` 的值作判断，并且只有它使规则判为 NOK",
            ),
        };
        adoption.guessed("rules", "file", rules, why);
    } else {
        let paths = odd.join("`, `");
        let why = words!(
            "the old rules looked for burn marks, and what `{paths}` says of them is not understood here: put the values into that file, \
             which only has the usual ones, then take the # away; without this line the fleet's own rules judge",
            "旧规则查找烧伤，但这里没有识别 `{paths}`：请把它们的值写入该文件（其中只有通常的值），再去掉本行的 #；没有本行则由 weldfleet 自己的规则判定",
        );
        adoption.question("rules", "file", rules, why);
    }
    let why = words!(
        "the old rules told of {streak} low hills of a spot in a row; here it is an event, a line of the log and a metric, no verdict",
        "旧规则会提示同一焊点连续 {streak} 次的较弱烧伤迹象；这里只产生事件、日志和指标，不作判定",
    );
    let streaks = toml::Table::from_iter([("resistance_peak".to_owned(), streak.into())]);
    adoption.guessed("scheduler", "hit_streaks", streaks, why);
    adoption.rules = Some(text);
}

/// The text with another line of this key.
fn replaced(text: &str, key: &str, line: &str) -> String {
    let start = format!("\n{key} = ");
    let Some((before, rest)) = text.split_once(&start) else {
        return text.to_owned();
    };
    let after = rest.split_once('\n').map_or("", |(_, after)| after);
    format!("{before}{line}{after}")
}

fn device(adoption: &mut Adoption, old: &OldConfig) {
    let Some(found) = old.text(Old::Device) else {
        return;
    };
    let text = found.value.to_lowercase();
    let (kind, index) = text.split_once(':').unwrap_or((&text, ""));
    match kind {
        "cpu" => adoption.mapped("model", "provider", "cpu", &found.path),
        "cuda" | "gpu" => {
            adoption.mapped("model", "provider", "cuda", &found.path);
            if let Ok(index) = index.parse::<u32>() {
                adoption.mapped("model", "device_id", i64::from(index), &found.path);
            }
        }
        "auto" => adoption.mapped("model", "provider", "auto", &found.path),
        _ => {
            let (path, text) = (&found.path, short(&found.value));
            adoption.question(
                "model",
                "provider",
                "auto",
                words!(
                    "`{path}: {text}` is no device that is known here",
                    "`{path}: {text}` 不是已知的设备",
                ),
            );
        }
    }
}

fn probability(
    adoption: &mut Adoption,
    old: &OldConfig,
    meaning: Old,
    (section, key): (&'static str, &str),
    usual: f64,
) {
    let Some(found) = old.text(meaning) else {
        return;
    };
    let (path, text) = (&found.path, short(&found.value));
    match found.value.parse::<f64>() {
        Ok(value) if value > 0.0 && value <= 1.0 => adoption.mapped(section, key, value, path),
        _ => adoption.question(
            section,
            key,
            usual,
            words!(
                "`{path}: {text}` is no probability above 0 and at most 1",
                "`{path}: {text}` 不是大于 0 且不超过 1 的概率",
            ),
        ),
    }
}
