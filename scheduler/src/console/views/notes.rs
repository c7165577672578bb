//! What pages say of what was not read, or not lately.

use crate::{
    console::{problem::Problem, words::Text},
    status::report::Report,
};

/// What could not be reached, where that is why there is no list.
pub fn unread(is_unread: bool, report: &Report, text: &Text) -> Vec<String> {
    let told = |problem: &String| not_reached(problem, text);
    match is_unread {
        true => report.problems.iter().map(told).collect(),
        false => Vec::new(),
    }
}

pub fn not_reached(problem: &str, text: &Text) -> String {
    Problem::NotReached(vec![problem.to_owned()]).text(text.lang)
}

pub fn details_age(report: &Report, text: &Text) -> Option<String> {
    let age = text.spoken(report.details_age()?);
    Some(text.details_are_old.replace("{}", &age))
}
