//! Who may sign in to the console: names, roles, and hashes of passwords (argon2id), in a file that `scheduler users`
//! keeps and running schedulers read again when it changes.

mod file;
mod password;

use std::{collections::BTreeMap, fmt, str::FromStr};

use serde::{Deserialize, Serialize};

pub use file::{UsersFile, lock, read};
pub use password::{check, hash, pretend};

/// Characters of a name, at most.
const LONGEST_NAME: usize = weldfleet_settings::columns::LONGEST_REVIEWER as usize;
/// Characters of a password, at least.
const SHORTEST_PASSWORD: usize = 10;

/// What somebody may do; each may what those before may.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, clap::ValueEnum,
)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Look
    Viewer,
    /// Review NOK welds
    Reviewer,
    /// Pause, steer backfills, retry and drop jobs
    Operator,
}

impl Role {
    pub const ALL: [Self; 3] = [Self::Viewer, Self::Reviewer, Self::Operator];

    pub fn name(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Reviewer => "reviewer",
            Self::Operator => "operator",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct User {
    pub role: Role,
    /// Of the password, as a PHC string; none: only a proxy can say that it is they.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
    /// Another with each password: it ends what was begun with the one before.
    pub key: String,
}

impl User {
    pub fn new(role: Role, password: Option<String>) -> Self {
        Self {
            role,
            password,
            key: uuid::Uuid::new_v4().simple().to_string(),
        }
    }
}

#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Users {
    /// Cookies are signed with it: who has another is signed out.
    pub secret: String,
    #[serde(default)]
    pub users: BTreeMap<Name, User>,
}

impl Users {
    pub fn nobody() -> Self {
        let secret = [uuid::Uuid::new_v4(), uuid::Uuid::new_v4()];
        Self {
            secret: secret.map(|random| random.simple().to_string()).concat(),
            users: BTreeMap::new(),
        }
    }

    pub fn get(&self, name: &str) -> Option<&User> {
        self.users.get(name)
    }
}

impl fmt::Debug for Users {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.users.keys()).finish()
    }
}

/// What somebody is called.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Name(String);

impl std::borrow::Borrow<str> for Name {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<Name> for String {
    fn from(name: Name) -> Self {
        name.0
    }
}

impl TryFrom<String> for Name {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if text.trim() != text || text.is_empty() {
            return Err("a name has a character, and no blank at either end".to_owned());
        }
        if text.chars().count() > LONGEST_NAME || text.chars().any(char::is_control) {
            return Err(format!(
                "a name has at most {LONGEST_NAME} characters, none of them a control character"
            ));
        }
        Ok(Self(text))
    }
}

impl FromStr for Name {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::try_from(text.to_owned())
    }
}

/// Why this is no password for anybody.
pub fn too_weak(password: &str) -> Option<String> {
    (password.chars().count() < SHORTEST_PASSWORD)
        .then(|| format!("a password has at least {SHORTEST_PASSWORD} characters"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_role_may_what_those_before_may() {
        assert!(Role::Viewer < Role::Reviewer && Role::Reviewer < Role::Operator);
    }

    #[test]
    fn names_are_plain_and_secrets_are_not_shown() {
        for bad in ["", " li", "li\n", &"x".repeat(65)] {
            assert!(bad.parse::<Name>().is_err(), "{bad:?}");
        }
        let mut users = Users::nobody();
        let user = User::new(Role::Reviewer, Some("$argon2id$secret".to_owned()));
        users.users.insert("李 娜".parse().unwrap(), user);
        let shown = format!("{users:?}");
        assert!(
            shown.contains("李 娜") && !shown.contains("secret"),
            "{shown}"
        );
        assert!(users.secret.len() >= 32 && users.secret != Users::nobody().secret);
    }
}
