//! A weld's curves as SVG: U, I and R over time, with pulses and hits. Only numbers and names of rules go in, never a
//! text of the plant.

use std::fmt::Write as _;

use weldfleet_weld::{
    explain::{Explanation, Span},
    rules::{Hit, Level, Rule},
};

use super::{limits::Limit, words::Text};

const WIDTH: f64 = 960.0;
const PANEL: f64 = 180.0;
const GAP: f64 = 34.0;
const LEFT: f64 = 60.0;
/// Stretches of a curve that are drawn, each by its lowest and its highest point; a screen shows no more.
const STRETCHES: usize = 960;

/// One curve: values by time.
struct Curve<'c> {
    name: &'static str,
    class: &'static str,
    step_ms: f64,
    values: &'c [Option<f32>],
}

/// Draws them.
pub fn curves(explanation: &Explanation, limits: &[Limit], text: &Text) -> String {
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
    let end_ms = explanation.end_ms();
    let height = (PANEL + GAP) * all.len() as f64;
    let mut svg = format!(
        "<svg viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-labelledby=\"curves-title curves-text\">\
         <title id=\"curves-title\">{}</title><desc id=\"curves-text\">{}</desc>",
        text.curves,
        in_words(explanation, text)
    );
    for (place, curve) in all.iter().enumerate() {
        let top = place as f64 * (PANEL + GAP);
        panel(&mut svg, explanation, limits, curve, top, end_ms);
    }
    svg.push_str("</svg>");
    svg
}

/// The highest of values that are compared with it, and the lowest, 0 where none is below.
fn span(values: impl Iterator<Item = f32>) -> (f32, f32) {
    values.fold((0.0, f32::MIN_POSITIVE), |(least, most), value| {
        (least.min(value), most.max(value))
    })
}

/// The curve in pieces without a gap, of each of [`STRETCHES`] the lowest and the highest value: a spike stays.
fn pieces(values: &[Option<f32>]) -> Vec<Vec<(usize, f32)>> {
    let stretch = values.len().div_ceil(STRETCHES).max(1);
    let mut pieces = vec![Vec::new()];
    for (number, some) in values.chunks(stretch).enumerate() {
        let mut finite = some.iter().enumerate().filter_map(|(place, value)| {
            let value = value.filter(|value| value.is_finite())?;
            Some((number * stretch + place, value))
        });
        let Some(first) = finite.next() else {
            // Where the current is too low there is no R: the line has a gap.
            pieces.push(Vec::new());
            continue;
        };
        let (low, high) = finite.fold((first, first), |(low, high), point| {
            let low = if point.1 < low.1 { point } else { low };
            let high = if point.1 > high.1 { point } else { high };
            (low, high)
        });
        let mut points = [low, high];
        points.sort_by_key(|(place, _)| *place);
        let points = &points[usize::from(low == high)..];
        if let Some(piece) = pieces.last_mut() {
            piece.extend(points);
        }
    }
    pieces.retain(|piece| !piece.is_empty());
    pieces
}

/// Where a curve is drawn, and what its axes go to.
struct Panel<'c> {
    curve: &'c Curve<'c>,
    top: f64,
    end_ms: f64,
    least: f32,
    most: f32,
}

fn panel(
    svg: &mut String,
    explanation: &Explanation,
    limits: &[Limit],
    curve: &Curve<'_>,
    top: f64,
    end_ms: f64,
) {
    let values = curve.values.iter().flatten();
    let finite = values.filter(|value| value.is_finite());
    let marks = limits.iter();
    let marks: Vec<Mark> = marks
        .filter_map(|limit| mark(limit, explanation, curve))
        .collect();
    let levels = marks.iter().filter_map(|mark| match mark {
        Mark::Level(value) => Some(value),
        Mark::Time(_) => None,
    });
    let (least, most) = span(finite.chain(levels).copied());
    let panel = Panel {
        curve,
        top,
        end_ms,
        least,
        most,
    };
    for (place, pulse) in explanation.pulses.iter().enumerate() {
        panel.pulse(svg, pulse, explanation.main_pulse == Some(place));
    }
    panel.axis(svg);
    panel.curve(svg);
    for mark in marks {
        panel.mark(svg, mark);
    }
    for hit in &explanation.hits {
        let counts = limits.iter().any(|limit| limit.covers(hit));
        panel.hit(svg, hit, counts);
    }
}

impl Panel<'_> {
    fn x(&self, ms: f64) -> f64 {
        LEFT + ms / self.end_ms * (WIDTH - LEFT - 10.0)
    }

    fn y(&self, value: f32) -> f64 {
        let share = f64::from((value - self.least) / (self.most - self.least));
        self.top + PANEL - share.clamp(0.0, 1.0) * (PANEL - 10.0)
    }

    fn bottom(&self) -> f64 {
        self.top + PANEL
    }

    fn pulse(&self, svg: &mut String, pulse: &Span, is_main: bool) {
        let class = if is_main { "pulse main" } else { "pulse" };
        let Span { start_ms, end_ms } = *pulse;
        let _ = write!(
            svg,
            "<rect class=\"{class}\" x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{PANEL}\"/>",
            self.x(start_ms),
            self.top,
            (self.x(end_ms) - self.x(start_ms)).max(0.0)
        );
    }

    fn axis(&self, svg: &mut String) {
        let Self {
            top,
            end_ms,
            least,
            most,
            ..
        } = self;
        let bottom = self.bottom();
        let _ = write!(
            svg,
            "<line class=\"axis\" x1=\"{LEFT}\" y1=\"{bottom:.1}\" x2=\"{WIDTH}\" y2=\"{bottom:.1}\"/>\
             <text x=\"4\" y=\"{:.1}\">{}</text><text x=\"4\" y=\"{:.1}\">{most:.3}</text>\
             <text x=\"4\" y=\"{:.1}\">{least:.3}</text><text x=\"{LEFT}\" y=\"{:.1}\">0</text><text class=\"end\" x=\"{WIDTH}\" y=\"{:.1}\">{end_ms:.0} ms</text>",
            top + PANEL / 2.0,
            self.curve.name,
            top + 16.0,
            bottom - 2.0,
            bottom + 16.0,
            bottom + 16.0,
        );
    }

    fn curve(&self, svg: &mut String) {
        let Curve {
            class,
            values,
            step_ms,
            ..
        } = self.curve;
        for piece in pieces(values) {
            let points = piece.iter().map(|(place, value)| {
                let (x, y) = (self.x(*place as f64 * step_ms), self.y(*value));
                format!("{x:.1},{y:.1}")
            });
            let points = points.collect::<Vec<_>>().join(" ");
            let _ = write!(svg, "<polyline class=\"{class}\" points=\"{points}\"/>");
        }
    }

    fn mark(&self, svg: &mut String, mark: Mark) {
        let (x1, y1, x2, y2) = match mark {
            Mark::Time(ms) => (self.x(ms), self.top, self.x(ms), self.bottom()),
            Mark::Level(value) => (LEFT, self.y(value), WIDTH, self.y(value)),
        };
        let _ = write!(
            svg,
            "<line class=\"limit\" x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\"/>"
        );
    }

    fn hit(&self, svg: &mut String, hit: &Hit, counts: bool) {
        let class = match hit.level {
            Level::Flag => "hit flag",
            Level::Warn => "hit warn",
        };
        let counts = if counts { " counts" } else { "" };
        let (at, top, bottom) = (self.x(hit.t_ms), self.top, self.bottom());
        let _ = write!(
            svg,
            "<line class=\"{class}{counts}\" x1=\"{at:.1}\" y1=\"{top:.1}\" x2=\"{at:.1}\" y2=\"{bottom:.1}\"/>"
        );
    }
}

/// A limit that can be drawn.
enum Mark {
    /// ms since the first sample.
    Time(f64),
    Level(f32),
}

/// Of those that are a time or a value of this curve: the main pulse must last so long, R must end below.
fn mark(limit: &Limit, explanation: &Explanation, curve: &Curve<'_>) -> Option<Mark> {
    match (limit.rule, curve.class) {
        (Rule::ShortPulse, "i") => {
            let main = explanation.pulses.get(explanation.main_pulse?)?;
            Some(Mark::Time(main.start_ms + limit.limit))
        }
        (Rule::ResistanceEndHigh, "r") => Some(Mark::Level(limit.limit as f32)),
        _ => None,
    }
}

/// The curves for those who do not see them.
fn in_words(explanation: &Explanation, text: &Text) -> String {
    let Text {
        comma,
        colon,
        semicolon,
        ..
    } = text;
    let (open, close) = (text.open, text.close);
    let mut words = format!(
        "umax {:.2} V{comma}imax {:.2} kA{comma}{}{colon}",
        explanation.umax, explanation.imax, text.pulses
    );
    let pulses = explanation.pulses.iter();
    let pulses: Vec<String> = pulses
        .map(|pulse| format!("{:.0}–{:.0} ms", pulse.start_ms, pulse.end_ms))
        .collect();
    words.push_str(&pulses.join(text.between));
    for hit in &explanation.hits {
        let _ = write!(
            words,
            "{semicolon}{} {:.0} ms{colon}{}{open}{}{close}",
            text.rule_word(hit.rule),
            hit.t_ms,
            hit.value,
            hit.limit
        );
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spike_of_one_sample_is_drawn_however_long_the_curve_is() {
        let mut values = vec![Some(1.0); 100_000];
        values[51_234] = Some(9.0);
        values[51_235] = Some(-3.0);
        let drawn = pieces(&values).concat();
        assert!(drawn.len() <= 2 * STRETCHES + 2, "{}", drawn.len());
        assert!(drawn.contains(&(51_234, 9.0)) && drawn.contains(&(51_235, -3.0)));
        let places: Vec<usize> = drawn.iter().map(|(place, _)| *place).collect();
        assert!(places.is_sorted(), "in order of time");
    }

    #[test]
    fn a_gap_stays_and_every_sample_of_a_short_curve() {
        let values = [Some(1.0), Some(2.0), None, Some(f32::NAN), Some(3.0)];
        assert_eq!(pieces(&values), [vec![(0, 1.0), (1, 2.0)], vec![(4, 3.0)]]);
    }

    #[test]
    fn the_axis_begins_at_the_minimum() {
        assert_eq!(span([0.5, -2.0, 3.0].into_iter()), (-2.0, 3.0));
        assert_eq!(span([0.5, 2.0].into_iter()), (0.0, 2.0));
    }
}
