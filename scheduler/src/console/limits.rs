//! How far a weld is from what makes the rules say NOK. What a rule measures where it has no hit, it tells when it is
//! asked with its limits wide open.

use weldfleet_weld::rules::{Hit, Level, NokOn, Rule, RulesFile, settings::RuleSettings};

/// Of a limit that everything is above, and of one that everything is below.
const LEAST: f64 = 1e-6;
const MOST: f64 = 1e9;

/// A limit that decides, and what of the weld is compared with it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limit {
    pub rule: Rule,
    /// That of the limit.
    pub level: Level,
    pub limit: f64,
    /// Value and time of the worst; `None`: there is nothing of that kind in the weld.
    pub worst: Option<(f64, f64)>,
}

impl Limit {
    /// Whether `hit` makes the rules say NOK by this limit. `nok_on` may name a level that is off: no hit has it.
    pub fn covers(&self, hit: &Hit) -> bool {
        hit.rule == self.rule && hit.level >= self.level
    }

    /// How far the weld is from it, as a share of it; below 0 it is beyond.
    pub fn room(&self) -> Option<f64> {
        let (value, _) = self.worst?;
        room(self.rule, value, self.limit)
    }
}

/// The same of any value; `None` where nothing is a share of the limit.
pub fn room(rule: Rule, value: f64, limit: f64) -> Option<f64> {
    let room = match is_least(rule) {
        true => value - limit,
        false => limit - value,
    };
    (limit != 0.0).then(|| room / limit.abs())
}

/// Of a rule's values and limits; empty for a share.
pub fn unit(rule: Rule) -> &'static str {
    match rule {
        Rule::Expulsion => "",
        Rule::Interruption | Rule::ShortPulse => "ms",
        Rule::ResistancePeak | Rule::ResistanceEndHigh => "mΩ",
        Rule::LowEnergy => "J",
    }
}

/// Whether a weld must reach the limit, and not stay below it.
fn is_least(rule: Rule) -> bool {
    match rule {
        Rule::ShortPulse | Rule::LowEnergy => true,
        Rule::Expulsion | Rule::Interruption | Rule::ResistancePeak | Rule::ResistanceEndHigh => {
            false
        }
    }
}

/// The same rules, which object to everything.
pub fn opened(file: &RulesFile) -> RulesFile {
    let mut file = file.clone();
    for settings in std::iter::once(&mut file.all).chain(file.parts.values_mut()) {
        let RuleSettings {
            expulsion,
            interruption,
            resistance_peak,
            short_pulse,
            low_energy,
            resistance_end_high,
            ..
        } = settings;
        (expulsion.flag, expulsion.warn) = (LEAST, LEAST);
        // Noise would else hide what comes soon after it.
        expulsion.refractory_ms = 0.0;
        interruption.flag_ms = LEAST;
        (resistance_peak.flag_mohm, resistance_peak.warn_mohm) = (LEAST, LEAST);
        short_pulse.flag_below_ms = MOST;
        low_energy.flag_below_j = MOST;
        resistance_end_high.flag_above_mohm = LEAST;
    }
    file
}

/// What decides by these settings; `all`: hits of the [`opened`] rules, and of the rules as they are.
pub fn of(settings: &RuleSettings, all: &[Hit]) -> Vec<Limit> {
    let limits = settings.nok_on.iter().filter_map(|on| {
        let (level, limit) = limit(settings, *on)?;
        let hits = all.iter().filter(|hit| hit.rule == on.rule);
        let badness = |hit: &&Hit| match is_least(on.rule) {
            true => -hit.value,
            false => hit.value,
        };
        let worst = hits.max_by(|a, b| badness(a).total_cmp(&badness(b)));
        Some(Limit {
            rule: on.rule,
            level,
            limit,
            worst: worst.map(|hit| (hit.value, hit.t_ms)),
        })
    });
    limits.collect()
}

/// `None` where the rule is off, or this level of it.
fn limit(settings: &RuleSettings, on: NokOn) -> Option<(Level, f64)> {
    let (enabled, flag, warn) = match on.rule {
        Rule::Expulsion => {
            let of = &settings.expulsion;
            (of.enabled, of.flag, of.warn)
        }
        Rule::Interruption => {
            let of = &settings.interruption;
            (of.enabled, of.flag_ms, 0.0)
        }
        Rule::ResistancePeak => {
            let of = &settings.resistance_peak;
            (of.enabled, of.flag_mohm, of.warn_mohm)
        }
        Rule::ShortPulse => {
            let of = &settings.short_pulse;
            (of.enabled, of.flag_below_ms, of.warn_below_ms)
        }
        Rule::LowEnergy => {
            let of = &settings.low_energy;
            (of.enabled, of.flag_below_j, of.warn_below_j)
        }
        Rule::ResistanceEndHigh => {
            let of = &settings.resistance_end_high;
            (of.enabled, of.flag_above_mohm, of.warn_above_mohm)
        }
    };
    // 0 switches a level off.
    let (level, limit) = match on.level {
        Level::Warn if warn > 0.0 => (Level::Warn, warn),
        _ => (Level::Flag, flag),
    };
    (enabled && limit > 0.0).then_some((level, limit))
}

#[cfg(test)]
mod tests {
    use weldfleet_simulator::{SimulationOptions, Simulator};
    use weldfleet_weld::{
        Weld,
        judge::{Judge, Workspace},
        rules::RuleSet,
    };

    use super::*;

    fn rules() -> RulesFile {
        RulesFile::from_toml(
            "nok_on = [\"expulsion:flag\", \"interruption\", \"short_pulse\", \"low_energy:flag\", \"resistance_end_high\"]",
        )
        .unwrap()
    }

    fn hits(file: &RulesFile, u: &[f32], i: &[f32]) -> Vec<Hit> {
        let settings = weldfleet_settings::Settings::default();
        let set = RuleSet::new(file, settings.curves.sample_interval_ms);
        let judge = Judge::new(settings.curves, settings.validation, None, Some(set), 0.97);
        let weld = Weld {
            part_no: "",
            umax: 1.0,
            imax: 10.0,
            u,
            i,
            scalars: &[],
        };
        let seen = judge.unwrap().explain(&weld, &mut Workspace::default());
        seen.unwrap().hits
    }

    #[test]
    fn a_weld_without_a_hit_has_its_margins_too() {
        // 300 ms of 10 kA at 1 V: 0.1 mΩ, 3,000 J.
        let mut i = vec![0.0; 400];
        i[50..350].fill(10.0);
        let u: Vec<f32> = i.iter().map(|i| i / 10.0).collect();
        let file = rules();
        assert!(hits(&file, &u, &i).is_empty());
        let limits = of(&file.all, &hits(&opened(&file), &u, &i));
        let found: Vec<_> = limits
            .iter()
            .map(|limit| (limit.rule, limit.worst.map(|(value, _)| value)))
            .collect();
        assert_eq!(
            found,
            [
                (Rule::Expulsion, None),
                (Rule::Interruption, None),
                (Rule::ShortPulse, Some(300.0)),
                (Rule::LowEnergy, Some(3000.0)),
                (Rule::ResistanceEndHigh, Some(0.1)),
            ]
        );
        // By the warning, where there is one and it counts.
        assert_eq!((limits[4].level, limits[4].limit), (Level::Warn, 0.38));
        assert_eq!((limits[1].level, limits[1].limit), (Level::Flag, 3.0));
        assert_eq!(limits[2].room(), Some(0.5));
        assert_eq!(limits[3].room(), Some(1.0));
        assert!(limits[4].room().unwrap() > 0.7);
        assert_eq!(limits[0].room(), None);
    }

    #[test]
    fn no_hit_of_a_weld_is_worse_than_what_stands_beside_the_limit() {
        let options = SimulationOptions {
            nok_rate: 1.0,
            ..SimulationOptions::new(20_260_303, 400, 9)
        };
        let welds = Simulator::new(options).unwrap().block(0..400);
        let file = rules();
        let judge = |file: &RulesFile| {
            let settings = weldfleet_settings::Settings::default();
            let set = RuleSet::new(file, settings.curves.sample_interval_ms);
            Judge::new(settings.curves, settings.validation, None, Some(set), 0.97).unwrap()
        };
        let (as_is, open) = (judge(&file), judge(&opened(&file)));
        let mut workspace = Workspace::default();
        let mut compared = 0;
        for row in 0..welds.rows() {
            let mut seen = |judge: &Judge| judge.explain(&welds.weld(row), &mut workspace).unwrap();
            let hits = seen(&as_is).hits;
            // The opened rules alone see all of it.
            for limit in of(&file.all, &seen(&open).hits) {
                let of_rule = hits.iter().filter(|hit| hit.rule == limit.rule);
                for hit in of_rule {
                    let of_hit = room(hit.rule, hit.value, limit.limit).unwrap();
                    assert!(limit.room().unwrap() <= of_hit, "{row}: {limit:?}, {hit:?}");
                    compared += 1;
                }
            }
        }
        assert!(compared > 100, "{compared}");
    }

    #[test]
    fn the_worst_counts_and_what_is_off_does_not() {
        let hit = |value| Hit {
            rule: Rule::Expulsion,
            level: Level::Flag,
            t_ms: 7.0,
            value,
            limit: LEAST,
        };
        let mut settings = rules().all;
        let limits = of(&settings, &[hit(0.02), hit(0.15), hit(0.03)]);
        assert_eq!(limits[0].worst, Some((0.15, 7.0)));
        assert_eq!(limits[0].room().map(|room| room < 0.0), Some(true));
        settings.expulsion.enabled = false;
        settings.low_energy.flag_below_j = 0.0;
        let rules: Vec<Rule> = of(&settings, &[]).iter().map(|limit| limit.rule).collect();
        let left = [
            Rule::Interruption,
            Rule::ShortPulse,
            Rule::ResistanceEndHigh,
        ];
        assert_eq!(rules, left);
    }
}
