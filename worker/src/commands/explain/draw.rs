//! The picture of a weld: U and I above, R with what the rules saw below.

use std::{ops::Range, path::Path};

use anyhow::Context;
use plotters::{
    coord::{Shift, types::RangedCoordf64},
    prelude::*,
};
use weldfleet_weld::{
    Outcome, Verdict,
    explain::{Explanation, Span},
    rules::Level,
};

use super::fonts;
use crate::commands::words;

const SIZE: (u32, u32) = (1280, 860);
const INK: RGBColor = RGBColor(38, 44, 54);
const FAINT: RGBColor = RGBColor(120, 128, 140);
const GOOD: RGBColor = RGBColor(22, 128, 72);
const BAD: RGBColor = RGBColor(200, 36, 46);
const WATCH: RGBColor = RGBColor(214, 140, 10);
const VOLTAGE: RGBColor = RGBColor(30, 100, 190);
const CURRENT: RGBColor = RGBColor(190, 90, 20);
const RESISTANCE: RGBColor = RGBColor(96, 60, 160);
const PULSE: RGBColor = RGBColor(232, 238, 246);
const MAIN: RGBColor = RGBColor(222, 236, 226);
/// Idle time that the model does not see.
const CUT: RGBColor = RGBColor(240, 240, 240);
const FONT: &str = "sans-serif";

type Area<'a> = DrawingArea<BitMapBackend<'a>, Shift>;
type Chart<'a, 'b> =
    ChartContext<'b, BitMapBackend<'a>, Cartesian2d<RangedCoordf64, RangedCoordf64>>;

/// Draws the weld into a PNG file.
pub fn picture(
    png: &Path,
    heading: &str,
    summary: &str,
    further: &str,
    verdict: &Verdict,
    explanation: &Explanation,
) -> anyhow::Result<()> {
    if !fonts::install(FONT, [heading, summary, further])? {
        tracing::warn!(
            "no font here has all letters of the picture's texts; install one with Chinese letters, such as fonts-wqy-microhei"
        );
    }
    let root = BitMapBackend::new(png, SIZE).into_drawing_area();
    let drawn = draw(&root, [heading, summary, further], verdict, explanation)
        .and_then(|()| Ok(root.present()?));
    drawn.with_context(|| format!("cannot draw `{}`", png.display()))
}

fn draw(
    root: &Area<'_>,
    [heading, summary, further]: [&str; 3],
    verdict: &Verdict,
    explanation: &Explanation,
) -> anyhow::Result<()> {
    root.fill(&WHITE)?;
    let head_height = if further.is_empty() { 84 } else { 96 };
    let (head, body) = root.split_vertically(head_height);
    let colour = match verdict.final_result {
        Some(Outcome::Nok) => BAD,
        Some(Outcome::Ok) => GOOD,
        None => WATCH,
    };
    for (text, below, size, colour) in [
        (heading.to_owned(), 16, 22, &INK),
        (summary.to_owned(), 48, 24, &colour),
        (shortened(further), 74, 15, &FAINT),
    ] {
        let font = (FONT, size).into_font().color(colour);
        head.draw(&Text::new(text, (24, below), font))?;
    }
    let panels = body.split_evenly((3, 1));
    let (u, i) = (&explanation.u, &explanation.i);
    curve(&panels[0], "U, V", u, VOLTAGE, explanation)?;
    curve(&panels[1], "I, kA", i, CURRENT, explanation)?;
    resistance(&panels[2], explanation)
}

/// As much of a line as the picture is wide.
fn shortened(line: &str) -> String {
    const MOST: usize = 170;
    if line.chars().count() <= MOST {
        return line.to_owned();
    }
    line.chars().take(MOST).chain(['…']).collect()
}

fn chart<'a, 'b>(
    area: &'b Area<'a>,
    label: &str,
    x: Range<f64>,
    y: Range<f64>,
) -> anyhow::Result<Chart<'a, 'b>> {
    let mut chart = ChartBuilder::on(area)
        .margin_left(12)
        .margin_right(28)
        .margin_top(6)
        .x_label_area_size(34)
        .y_label_area_size(64)
        .build_cartesian_2d(x, y)?;
    chart
        .configure_mesh()
        .light_line_style(WHITE)
        .bold_line_style(RGBColor(226, 230, 236))
        .axis_style(FAINT)
        .x_desc("t, ms")
        .y_desc(label)
        .label_style((FONT, 15).into_font().color(&INK))
        .axis_desc_style((FONT, 16).into_font().color(&INK))
        .x_labels(14)
        .y_labels(6)
        .draw()?;
    Ok(chart)
}

fn shade(
    chart: &mut Chart<'_, '_>,
    explanation: &Explanation,
    y: &Range<f64>,
) -> anyhow::Result<()> {
    let rectangle = |span: &Span, colour: RGBColor| {
        Rectangle::new(
            [(span.start_ms, y.start), (span.end_ms, y.end)],
            colour.mix(0.75).filled(),
        )
    };
    if let Some(fed) = explanation.fed {
        let end_ms = explanation.end_ms();
        let cut = [(0.0, fed.start_ms), (fed.end_ms, end_ms)];
        for (start_ms, end_ms) in cut.into_iter().filter(|(start, end)| end > start) {
            chart.draw_series([rectangle(&Span { start_ms, end_ms }, CUT)])?;
        }
    }
    for (index, pulse) in explanation.pulses.iter().enumerate() {
        let colour = if explanation.main_pulse == Some(index) {
            MAIN
        } else {
            PULSE
        };
        chart.draw_series([rectangle(pulse, colour)])?;
    }
    chart.draw_series(
        explanation
            .gaps
            .iter()
            .map(|gap| rectangle(gap, RGBColor(250, 214, 214))),
    )?;
    Ok(())
}

fn curve(
    area: &Area<'_>,
    label: &str,
    values: &[f32],
    colour: RGBColor,
    explanation: &Explanation,
) -> anyhow::Result<()> {
    let finite = || values.iter().copied().filter(|value| value.is_finite());
    let top = finite().fold(0.001, f32::max);
    // Only a weld that nothing can judge goes below 0 by more than noise.
    let bottom = finite().fold(0.0, f32::min);
    let y = f64::from(bottom)..f64::from(top) * 1.12;
    let mut chart = chart(area, label, 0.0..explanation.end_ms(), y.clone())?;
    shade(&mut chart, explanation, &y)?;
    let dt = explanation.sample_interval_ms;
    let points = values
        .iter()
        .enumerate()
        .filter(|(_, value)| value.is_finite())
        .map(|(index, value)| (index as f64 * dt, f64::from(*value)));
    chart.draw_series(LineSeries::new(points, colour.stroke_width(2)))?;
    mark_hits(&mut chart, explanation, &y, false)
}

fn resistance(area: &Area<'_>, explanation: &Explanation) -> anyhow::Result<()> {
    let dt = explanation.step_ms;
    let y = resistance_range(explanation);
    let mut chart = chart(area, "R, mOhm", 0.0..explanation.end_ms(), y.clone())?;
    shade(&mut chart, explanation, &y)?;
    // R is drawn where it can be told; each stretch is a line of its own.
    let mut stretch: Vec<(f64, f64)> = Vec::new();
    let mut stretches = Vec::new();
    for (index, value) in explanation.r.iter().enumerate() {
        match value.filter(|value| y.contains(&f64::from(*value))) {
            Some(value) => stretch.push((index as f64 * dt, f64::from(value))),
            None if !stretch.is_empty() => stretches.push(std::mem::take(&mut stretch)),
            None => {}
        }
    }
    stretches.push(stretch);
    for stretch in stretches {
        chart.draw_series(LineSeries::new(stretch, FAINT.mix(0.6).stroke_width(1)))?;
    }
    let smoothed = explanation
        .smoothed
        .iter()
        .map(|point| (point.t_ms, point.value));
    chart.draw_series(LineSeries::new(smoothed, RESISTANCE.stroke_width(2)))?;
    let peaks = explanation
        .peaks
        .iter()
        .map(|peak| Circle::new((peak.t_ms, peak.value), 5, RESISTANCE.filled()));
    chart.draw_series(peaks)?;
    mark_hits(&mut chart, explanation, &y, true)
}

/// From the smoothed curve where there is one: the ends of pulses, where I rises, would dwarf the rest.
fn resistance_range(explanation: &Explanation) -> Range<f64> {
    let smoothed: Vec<f64> = explanation
        .smoothed
        .iter()
        .map(|point| point.value)
        .collect();
    let values = if smoothed.is_empty() {
        explanation
            .r
            .iter()
            .flatten()
            .map(|value| f64::from(*value))
            .collect()
    } else {
        smoothed
    };
    let low = values.iter().copied().fold(f64::INFINITY, f64::min);
    let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if !low.is_finite() || high <= low {
        return 0.0..1.0;
    }
    let margin = (high - low) * 0.35;
    (low - margin).max(0.0)..high + margin
}

fn mark_hits(
    chart: &mut Chart<'_, '_>,
    explanation: &Explanation,
    y: &Range<f64>,
    with_text: bool,
) -> anyhow::Result<()> {
    let height = y.end - y.start;
    for (index, hit) in explanation.hits.iter().enumerate() {
        let colour = if hit.level == Level::Flag { BAD } else { WATCH };
        chart.draw_series(LineSeries::new(
            [(hit.t_ms, y.start), (hit.t_ms, y.end)],
            colour.stroke_width(2),
        ))?;
        if with_text {
            let text = words::hit(hit);
            let at = (
                hit.t_ms + 4.0,
                y.end - height * (0.04 + 0.1 * (index % 4) as f64),
            );
            chart.draw_series([Text::new(text, at, (FONT, 17).into_font().color(&colour))])?;
        }
    }
    Ok(())
}
