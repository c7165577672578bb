//! Repeated measurements: their median and spread, and the report they end up in.

use std::{collections::BTreeMap, fmt::Write as _};

use serde_json::{Value, json};

/// One quantity, measured several times.
#[derive(Debug, Clone, Default)]
pub struct Series {
    values: Vec<f64>,
}

impl Series {
    pub fn push(&mut self, value: f64) {
        self.values.push(value);
    }

    pub fn extend(&mut self, other: &Self) {
        self.values.extend_from_slice(&other.values);
    }

    /// The measurement that this share of them does not exceed; NaN of none.
    pub fn quantile(&self, share: f64) -> f64 {
        let mut sorted = self.values.clone();
        sorted.sort_by(f64::total_cmp);
        let place = (share * sorted.len() as f64).ceil() as usize;
        sorted
            .get(place.saturating_sub(1))
            .copied()
            .unwrap_or(f64::NAN)
    }

    /// The middle measurement; of an even number the mean of the two middle ones. NaN of none.
    pub fn median(&self) -> f64 {
        let mut sorted = self.values.clone();
        sorted.sort_by(f64::total_cmp);
        let half = sorted.len() / 2;
        match sorted.len() {
            0 => f64::NAN,
            count if count % 2 == 1 => sorted[half],
            _ => f64::midpoint(sorted[half - 1], sorted[half]),
        }
    }

    /// Smallest and largest measurement.
    pub fn spread(&self) -> (f64, f64) {
        let low = self.values.iter().copied().fold(f64::INFINITY, f64::min);
        let high = self
            .values
            .iter()
            .copied()
            .fold(f64::NEG_INFINITY, f64::max);
        (low, high)
    }
}

/// Measurements of one thing, by quantity, in the order in which the quantities were first seen.
#[derive(Debug, Clone, Default)]
pub struct Section {
    order: Vec<String>,
    series: BTreeMap<String, Series>,
    notes: BTreeMap<String, Vec<String>>,
    course: bool,
}

impl Section {
    /// For measurements of one thing as it goes on, from first to last, rather than again and again.
    pub fn course() -> Self {
        Self {
            course: true,
            ..Self::default()
        }
    }

    /// Adds a measurement of a quantity; its name ends in its unit.
    pub fn push(&mut self, quantity: &str, value: f64) {
        if !self.series.contains_key(quantity) {
            self.order.push(quantity.to_owned());
        }
        self.series
            .entry(quantity.to_owned())
            .or_default()
            .push(value);
    }

    /// Adds a word beside the measurements of a course.
    pub fn note(&mut self, name: &str, word: &str) {
        self.notes
            .entry(name.to_owned())
            .or_default()
            .push(word.to_owned());
    }

    /// Says a word about all measurements.
    pub fn remark(&mut self, name: &str, word: &str) {
        self.notes.insert(name.to_owned(), vec![word.to_owned()]);
    }

    /// Median of a quantity; NaN where it was not measured.
    pub fn median(&self, quantity: &str) -> f64 {
        self.series.get(quantity).map_or(f64::NAN, Series::median)
    }
}

/// Everything that was measured.
#[derive(Debug, Default)]
pub struct Report {
    sections: Vec<(String, Section)>,
}

impl Report {
    /// Adds a section and prints it at once; one that nothing was measured of adds nothing.
    pub fn add(&mut self, title: &str, section: Section) {
        if section.series.is_empty() {
            return;
        }
        print!("{}", lines(title, &section));
        self.sections.push((title.to_owned(), section));
    }

    pub fn table(&self) -> String {
        self.sections
            .iter()
            .map(|(title, section)| lines(title, section))
            .collect()
    }

    /// For `latest.json`: sections by title, quantities by name.
    pub fn json(&self) -> serde_json::Map<String, Value> {
        self.sections
            .iter()
            .map(|(title, section)| (title.clone(), section.json()))
            .collect()
    }
}

impl Section {
    fn json(&self) -> Value {
        let quantities = self.series.iter().map(|(name, series)| {
            let (low, high) = series.spread();
            let value = json!({
                "median": series.median(), "low": low, "high": high, "runs": series.values,
            });
            (name.clone(), value)
        });
        let notes = self
            .notes
            .iter()
            .map(|(name, words)| (name.clone(), json!({ "words": words })));
        Value::Object(quantities.chain(notes).collect())
    }
}

fn lines(title: &str, section: &Section) -> String {
    let mut text = format!("\n{title}\n");
    for name in &section.order {
        let series = &section.series[name];
        let (low, high) = series.spread();
        let median = shown(series.median());
        let runs = series.values.len();
        let _ = if section.course {
            let values: Vec<String> = series.values.iter().copied().map(shown).collect();
            writeln!(text, "  {name:<44} {}", values.join(" "))
        } else if runs > 1 {
            writeln!(
                text,
                "  {name:<44} {median:>12}   {} to {}, {runs} runs",
                shown(low),
                shown(high)
            )
        } else {
            writeln!(text, "  {name:<44} {median:>12}")
        };
    }
    for (name, words) in &section.notes {
        let _ = writeln!(text, "  {name:<44} {}", words.join(" "));
    }
    text
}

/// Three significant digits where they matter, thousands grouped where they do not.
pub fn shown(value: f64) -> String {
    if !value.is_finite() {
        return "-".to_owned();
    }
    if value.abs() < 10.0 {
        return format!("{value:.2}");
    }
    if value.abs() < 1000.0 {
        return format!("{value:.1}");
    }
    let digits = format!("{value:.0}");
    let mut grouped = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) && !grouped.ends_with('-') {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_of_what_was_measured() {
        let mut series = Series::default();
        for value in [9.0, 1.0, 5.0] {
            series.push(value);
        }
        assert_eq!((series.median(), series.spread()), (5.0, (1.0, 9.0)));
        series.push(6.0);
        assert_eq!(series.median(), 5.5);
    }

    #[test]
    fn numbers_are_shown_to_three_digits() {
        assert_eq!(
            ["1.24", "12.3", "123.5", "1,234,568", "1,000"].map(str::to_owned),
            [1.236, 12.34, 123.46, 1_234_567.8, 1000.0].map(shown)
        );
    }
}
