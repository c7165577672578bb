//! What every page needs of the one who asks: language, role, and what came of their last action.

use std::convert::Infallible;

use axum::{
    extract::{FromRequestParts, Query},
    http::{HeaderMap, Uri, header, request::Parts},
};
use jiff::{Timestamp, civil::DateTime, tz::TimeZone};
use serde::Deserialize;
use weldfleet_settings::Zone;
use weldfleet_words::Language;

use super::{
    flash::{self, Flash},
    undo::Undo,
    visitor::Visitor,
    words::Text,
};
use crate::users::Role;

pub struct PageRequest {
    pub text: &'static Text,
    /// `None` where nobody has signed in yet.
    pub visitor: Option<Visitor>,
    /// What came of their last action.
    pub flash: Option<Flash>,
    /// The review that this browser can take back.
    pub undo: Option<Undo>,
    /// The plant's, by which times are told.
    pub zone: Zone,
    /// What the address asks for besides the language, as it goes on behind it.
    pub rest: String,
}

impl PageRequest {
    /// A page in the same language.
    pub fn page(&self, path: &str) -> String {
        format!("{path}?lang={}", self.text.lang)
    }

    /// A time by the plant's clock, with the zone's name.
    pub fn time(&self, ms: i64) -> String {
        let at = Timestamp::from_millisecond(ms).unwrap_or(Timestamp::MAX);
        let at = at.to_zoned(self.zone.rules().clone());
        format!("{} {}", at.strftime("%Y-%m-%d %H:%M:%S"), self.zone.name())
    }

    /// The same of a time that is stored as text, in UTC; what is none stays as it is.
    pub fn time_of(&self, utc: &str) -> String {
        let at = utc
            .parse::<DateTime>()
            .and_then(|at| at.to_zoned(TimeZone::UTC));
        at.map_or_else(
            |_| utc.to_owned(),
            |at| self.time(at.timestamp().as_millisecond()),
        )
    }

    pub fn may(&self, role: Role) -> bool {
        self.visitor
            .as_ref()
            .is_some_and(|visitor| visitor.may(role))
    }

    /// What forms must hold.
    pub fn token(&self) -> &str {
        self.visitor.as_ref().map_or("", |visitor| &visitor.token)
    }
}

#[derive(Deserialize)]
struct Lang {
    lang: Option<String>,
}

impl<S: Send + Sync> FromRequestParts<S> for PageRequest {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self {
            text: text_of(&parts.uri, &parts.headers),
            visitor: parts.extensions.get::<Visitor>().cloned(),
            flash: flash::of(&parts.headers),
            undo: parts.extensions.get::<Undo>().cloned(),
            zone: parts.extensions.get::<Zone>().cloned().unwrap_or_default(),
            rest: rest(parts.uri.query().unwrap_or_default()),
        })
    }
}

fn rest(query: &str) -> String {
    let mut rest = form_urlencoded::Serializer::new(String::new());
    let pairs = form_urlencoded::parse(query.as_bytes());
    rest.extend_pairs(pairs.filter(|(name, _)| name != "lang"));
    match rest.finish() {
        rest if rest.is_empty() => rest,
        rest => format!("&{rest}"),
    }
}

/// The words of a request.
pub fn text_of(uri: &Uri, headers: &HeaderMap) -> &'static Text {
    let lang = Query::<Lang>::try_from_uri(uri).ok();
    let lang = lang.and_then(|Query(asked)| asked.lang);
    language(lang.as_deref(), headers)
}

/// `?lang=`, else what the browser prefers.
fn language(asked: Option<&str>, headers: &HeaderMap) -> &'static Text {
    let preferred = headers
        .get(header::ACCEPT_LANGUAGE)
        .and_then(|value| value.to_str().ok());
    Text::of(Language::of_locale(asked.or(preferred).unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn another_language_asks_for_the_same() {
        assert_eq!(
            rest("lang=zh&day=20261129&id=a%26b"),
            "&day=20261129&id=a%26b"
        );
        assert_eq!(rest("lang=zh"), "");
    }

    #[test]
    fn times_are_the_plants_and_say_so() {
        let request = PageRequest {
            text: Text::of(Language::English),
            visitor: None,
            flash: None,
            undo: None,
            zone: Zone::default(),
            rest: String::new(),
        };
        let noon = "2026-11-29 12:00:00 Asia/Shanghai";
        assert_eq!(request.time(1_795_924_800_000), noon);
        assert_eq!(request.time_of("2026-11-29 04:00:00"), noon);
        assert_eq!(request.time_of("yesterday"), "yesterday");
    }

    #[test]
    fn the_language_is_the_links_or_the_browsers() {
        let lang = |asked: Option<&str>, browser: &'static str| {
            let accept = (header::ACCEPT_LANGUAGE, HeaderValue::from_static(browser));
            language(asked, &HeaderMap::from_iter([accept]))
                .lang
                .to_string()
        };
        assert_eq!(lang(None, "zh-CN,zh;q=0.9"), "zh");
        assert_eq!(lang(None, "de"), "en");
        assert_eq!(lang(Some("en"), "zh-CN"), "en");
        assert_eq!(lang(Some("zh"), "de"), "zh");
        assert_eq!(lang(Some("\"><script>"), "de"), "en");
    }
}
