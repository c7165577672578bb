//! People at the console: a scheduler with users, and browsers.

#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "each suite uses its part; in a test a panic is the report"
)]

use std::{io::Write as _, process::Stdio, time::Duration};

use reqwest::{Client, Response, redirect::Policy};
use weldfleet_tests::{Fleet, Process};

use super::{Hands, day_before};

pub const PASSWORD: &str = "correct horse battery";
pub const ROLES: [&str; 3] = ["viewer", "reviewer", "operator"];

/// A scheduler whose console people sign in to.
pub struct Plant {
    pub fleet: Fleet,
    pub scheduler: Process,
    pub base: String,
}

/// A browser: cookies, and the token of its last page.
pub struct Browser<'p> {
    pub plant: &'p Plant,
    /// The scheduler that it asks.
    pub base: String,
    pub client: Client,
    pub cookie: String,
    pub token: String,
}

impl Plant {
    pub async fn start(more: &[(&str, &str)]) -> Self {
        Self::of(Fleet::with(more).await).await
    }

    /// On services as they are.
    pub async fn of(mut fleet: Fleet) -> Self {
        let file = fleet.folder().join("users.toml");
        fleet.set("console.users_file", file.to_str().unwrap());
        fleet.migrate();
        for role in ROLES {
            let args = ["users", "add", role, "--role", role, "--password-stdin"];
            let mut child = fleet
                .command("scheduler", &args)
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
                .unwrap();
            let mut stdin = child.stdin.take().unwrap();
            writeln!(stdin, "{PASSWORD}").unwrap();
            drop(stdin);
            assert!(child.wait().unwrap().success());
        }
        let scheduler = fleet.scheduler();
        scheduler.ready().await;
        let base = scheduler.http().await;
        Self {
            fleet,
            scheduler,
            base,
        }
    }

    pub fn paused(&self) -> bool {
        !self.fleet.status()["paused"].is_null()
    }

    pub fn stranger(&self) -> Browser<'_> {
        Browser {
            plant: self,
            base: self.base.clone(),
            client: Client::builder().redirect(Policy::none()).build().unwrap(),
            cookie: String::new(),
            token: "none".to_owned(),
        }
    }

    pub async fn signed_in(&self, name: &str) -> Browser<'_> {
        let mut browser = self.stranger();
        let answer = browser.sign_in(name, PASSWORD).await;
        assert_eq!(answer.status(), 303, "{name}");
        assert_eq!(answer.headers()["location"], "/ui/jobs?day=1");
        browser.keep_cookie(&answer);
        browser.read_token().await;
        browser
    }
}

impl Plant {
    /// A backfill of two days, the first of them empty, whose three jobs wait for somebody, and who might be that.
    pub async fn backfilled(&self) -> (Hands, String) {
        let day = day_before(2);
        self.fleet.simulate(&day, 3000, &[]);
        let hands = Hands::new(&self.fleet, Duration::from_secs(30)).await;
        let args = ["backfill", "--from", &day_before(3), "--to", &day, "--json"];
        let asked = self.fleet.succeed("scheduler", &args);
        let run: serde_json::Value = serde_json::from_str(&asked).unwrap();
        hands.pending_rows(3000).await;
        (hands, run["run"].to_string())
    }
}

impl Browser<'_> {
    pub async fn get(&self, path: &str) -> Response {
        let url = format!("{}{path}", self.base);
        let request = self.client.get(url).header("cookie", &self.cookie);
        request.send().await.unwrap()
    }

    pub fn form(&self, path: &str, fields: &[(&str, &str)]) -> reqwest::RequestBuilder {
        let body = fields
            .iter()
            .map(|(name, value)| format!("{name}={}", encoded(value)))
            .collect::<Vec<_>>()
            .join("&");
        self.client
            .post(format!("{}{path}", self.base))
            .header("content-type", "application/x-www-form-urlencoded")
            .header("cookie", &self.cookie)
            .body(body)
    }

    pub async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Response {
        let mut all = vec![("token", self.token.as_str())];
        all.extend(fields);
        let request = self.form(path, &all).header("origin", &self.base);
        request.send().await.unwrap()
    }

    pub async fn sign_in(&self, name: &str, password: &str) -> Response {
        let fields = [
            ("name", name),
            ("password", password),
            ("next", "/ui/jobs?day=1"),
        ];
        let request = self.form("/ui/sign-in", &fields);
        request.header("origin", &self.base).send().await.unwrap()
    }

    pub fn keep_cookie(&mut self, answer: &Response) {
        let cookies = answer.headers().get_all("set-cookie").iter();
        let pairs = cookies.map(|cookie| cookie.to_str().unwrap().split(';').next().unwrap());
        self.cookie = pairs.collect::<Vec<_>>().join("; ");
    }

    /// Takes these besides those that it has, or in their place.
    pub fn take_cookies(&mut self, answer: &Response) {
        let before = self.cookie.clone();
        self.keep_cookie(answer);
        let name = |pair: &str| pair.split('=').next().unwrap().to_owned();
        let new: Vec<String> = self.cookie.split("; ").map(name).collect();
        let kept = before.split("; ").filter(|pair| !new.contains(&name(pair)));
        let kept: Vec<&str> = kept.collect();
        self.cookie = format!("{}; {}", kept.join("; "), self.cookie);
    }

    pub async fn read_token(&mut self) {
        let html = self.get("/ui").await.text().await.unwrap();
        let (_, token) = html.split_once("name=\"token\" value=\"").unwrap();
        self.token = token.split('"').next().unwrap().to_owned();
    }
}

/// What came of an action, as the next page tells it.
pub fn said(answer: &Response) -> String {
    let cookies = answer.headers().get_all("set-cookie").iter();
    let mut cookies = cookies.map(|cookie| cookie.to_str().unwrap());
    let cookie = cookies.find(|cookie| cookie.starts_with("weldfleet_said="));
    let value = cookie.unwrap().split(';').next().unwrap();
    let mut decoded = form_urlencoded::parse(value.as_bytes());
    decoded.next().unwrap().1.into_owned()
}

/// As it stands in a form.
fn encoded(text: &str) -> String {
    let bytes = text.bytes().map(|byte| match byte {
        b' ' => "+".to_owned(),
        byte if byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    });
    bytes.collect()
}
