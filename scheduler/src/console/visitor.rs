//! Whoever asks, as every page knows them.

use crate::users::Role;

/// Whoever asks.
#[derive(Debug, Clone)]
pub struct Visitor {
    /// `None`: nobody can sign in.
    pub name: Option<String>,
    pub role: Role,
    /// What a form of theirs must hold.
    pub token: String,
    /// A proxy said who it is.
    pub by_proxy: bool,
}

impl Visitor {
    /// Somebody on this host.
    pub fn onlooker() -> Self {
        Self {
            name: None,
            role: Role::Viewer,
            token: String::new(),
            by_proxy: false,
        }
    }

    /// Whether there are actions to be shown.
    pub fn may(&self, role: Role) -> bool {
        self.name.is_some() && self.role >= role
    }
}
