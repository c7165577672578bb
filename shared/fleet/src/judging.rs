//! The judge as the settings have it, for who judges and for who shows how it was judged.

use std::fs;

use anyhow::Context;
use weldfleet_settings::Settings;
use weldfleet_weld::{
    judge::{Judge, ModelSet},
    rules::{RuleSet, RulesFile},
};

/// `rules.file`; `None` where the rules are off.
///
/// # Errors
/// What is wrong with the file, and the remedy.
pub fn rules_file(settings: &Settings) -> anyhow::Result<Option<RulesFile>> {
    if !settings.rules.enabled {
        return Ok(None);
    }
    let path = settings.rules.file.display();
    let text = fs::read_to_string(&settings.rules.file).with_context(|| {
        format!("cannot read rules.file = \"{path}\"; name the file, or set rules.enabled = false")
    })?;
    let file = RulesFile::from_toml(&text).with_context(|| format!("rules file `{path}`"))?;
    Ok(Some(file))
}

/// A judge with these models and rules; `None` switches that side off.
///
/// # Errors
/// If both are off.
pub fn judge(
    settings: &Settings,
    models: Option<ModelSet>,
    rules: Option<&RulesFile>,
) -> anyhow::Result<Judge> {
    let rules = rules.map(|file| RuleSet::new(file, settings.curves.sample_interval_ms));
    let judge = Judge::new(
        settings.curves,
        settings.validation,
        models,
        rules,
        settings.fusion.override_threshold,
    );
    let judge = judge.context("fusion")?;
    Ok(judge.with_defect_names(&settings.fusion.defect_names))
}
