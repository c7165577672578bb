//! Thresholds, switches, devices, and what belongs to the model.

use weldfleet_words::words;

use crate::{
    OldConfig,
    old::{Old, switch},
};

use super::{Adoption, short};

/// The older service's rule model in the fleet's words.
const BURN_MARKS: &str = include_str!("../burn_marks.toml");
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
        burn_marks(adoption, rules);
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

fn burn_marks(adoption: &mut Adoption, rules: &str) {
    let why = words!(
        "the old rules looked for burn marks; that file says the same, and only it makes the rules say NOK",
        "旧规则查找烧伤；该文件作同样的判断，并且只有它使规则判为 NOK",
    );
    adoption.guessed("rules", "file", rules, why);
    let why = words!(
        "the old rules told of three low hills of a spot in a row; here it is a line of the log and a metric, no verdict",
        "旧规则会提示同一焊点连续三次的低隆起；这里只写日志和指标，不作判定",
    );
    let streaks = toml::Table::from_iter([("resistance_peak".to_owned(), STREAK.into())]);
    adoption.guessed("scheduler", "hit_streaks", streaks, why);
    adoption.rules = Some(BURN_MARKS);
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
