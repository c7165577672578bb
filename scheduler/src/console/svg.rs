//! A weld's curves as SVG: U, I and R over time, with pulses and hits. Only numbers and names of rules go in, never a
//! text of the plant.

use std::fmt::Write as _;

use weldfleet_weld::{
    explain::{Explanation, Span},
    rules::Level,
};

use super::words::Text;

const WIDTH: f64 = 960.0;
const PANEL: f64 = 180.0;
const GAP: f64 = 34.0;
const LEFT: f64 = 60.0;
/// Points of one line; a screen shows no more.
const MOST_POINTS: usize = 1920;

/// One curve: values by time.
struct Curve<'c> {
    name: &'static str,
    class: &'static str,
    step_ms: f64,
    values: &'c [Option<f32>],
}

/// Draws them.
pub fn curves(explanation: &Explanation, text: &Text) -> String {
    let some = |values: &[f32]| -> Vec<Option<f32>> { values.iter().copied().map(Some).collect() };
    let (u, i) = (some(&explanation.u), some(&explanation.i));
    let all = [
        Curve {
            name: "U, V",
            class: "u",
            step_ms: explanation.sample_interval_ms,
            values: &u,
        },
        Curve {
            name: "I, kA",
            class: "i",
            step_ms: explanation.sample_interval_ms,
            values: &i,
        },
        Curve {
            name: "R, mΩ",
            class: "r",
            step_ms: explanation.step_ms,
            values: &explanation.r,
        },
    ];
    let end_ms = explanation.u.len().max(1) as f64 * explanation.sample_interval_ms;
    let height = (PANEL + GAP) * all.len() as f64;
    let mut svg = format!(
        "<svg viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-labelledby=\"curves-title curves-text\">\
         <title id=\"curves-title\">{}</title><desc id=\"curves-text\">{}</desc>",
        text.curves,
        in_words(explanation, text)
    );
    for (place, curve) in all.iter().enumerate() {
        panel(
            &mut svg,
            explanation,
            curve,
            place as f64 * (PANEL + GAP),
            end_ms,
        );
    }
    svg.push_str("</svg>");
    svg
}

fn panel(svg: &mut String, explanation: &Explanation, curve: &Curve<'_>, top: f64, end_ms: f64) {
    let x = |ms: f64| LEFT + ms / end_ms * (WIDTH - LEFT - 10.0);
    let finite = || {
        curve
            .values
            .iter()
            .flatten()
            .filter(|value| value.is_finite())
    };
    let most = finite().fold(f32::MIN_POSITIVE, |a, b| a.max(*b));
    let y = |value: f32| top + PANEL - f64::from((value / most).clamp(0.0, 1.0)) * (PANEL - 10.0);
    for (place, pulse) in explanation.pulses.iter().enumerate() {
        let class = if explanation.main_pulse == Some(place) {
            "pulse main"
        } else {
            "pulse"
        };
        let Span { start_ms, end_ms } = *pulse;
        let _ = write!(
            svg,
            "<rect class=\"{class}\" x=\"{:.1}\" y=\"{top:.1}\" width=\"{:.1}\" height=\"{PANEL}\"/>",
            x(start_ms),
            (x(end_ms) - x(start_ms)).max(0.0)
        );
    }
    let bottom = top + PANEL;
    let _ = write!(
        svg,
        "<line class=\"axis\" x1=\"{LEFT}\" y1=\"{bottom:.1}\" x2=\"{WIDTH}\" y2=\"{bottom:.1}\"/>\
         <text x=\"4\" y=\"{:.1}\">{}</text><text x=\"4\" y=\"{:.1}\">{most:.3}</text>\
         <text x=\"{LEFT}\" y=\"{:.1}\">0</text><text class=\"end\" x=\"{WIDTH}\" y=\"{:.1}\">{end_ms:.0} ms</text>",
        top + PANEL / 2.0,
        curve.name,
        top + 16.0,
        bottom + 16.0,
        bottom + 16.0,
    );
    let stride = curve.values.len().div_ceil(MOST_POINTS).max(1);
    let mut points = String::new();
    let mut line = |points: &mut String| {
        if !points.is_empty() {
            let _ = write!(
                svg,
                "<polyline class=\"{}\" points=\"{points}\"/>",
                curve.class
            );
            points.clear();
        }
    };
    for (place, value) in curve.values.iter().enumerate().step_by(stride) {
        match value {
            Some(value) if value.is_finite() => {
                let _ = write!(
                    points,
                    "{:.1},{:.1} ",
                    x(place as f64 * curve.step_ms),
                    y(*value)
                );
            }
            // Where the current is too low there is no R: the line has a gap.
            _ => line(&mut points),
        }
    }
    line(&mut points);
    for hit in &explanation.hits {
        let class = match hit.level {
            Level::Flag => "hit flag",
            Level::Warn => "hit warn",
        };
        let at = x(hit.t_ms);
        let _ = write!(
            svg,
            "<line class=\"{class}\" x1=\"{at:.1}\" y1=\"{top:.1}\" x2=\"{at:.1}\" y2=\"{bottom:.1}\"/>"
        );
    }
}

/// The curves for those who do not see them.
fn in_words(explanation: &Explanation, text: &Text) -> String {
    let mut words = format!(
        "umax {:.2} V, imax {:.2} kA, {}: ",
        explanation.umax, explanation.imax, text.pulses
    );
    let pulses = explanation.pulses.iter();
    let pulses: Vec<String> = pulses
        .map(|pulse| format!("{:.0}–{:.0} ms", pulse.start_ms, pulse.end_ms))
        .collect();
    words.push_str(&pulses.join(", "));
    for hit in &explanation.hits {
        let _ = write!(
            words,
            "; {} {:.0} ms: {} ({})",
            hit.rule.as_str(),
            hit.t_ms,
            hit.value,
            hit.limit
        );
    }
    words
}
