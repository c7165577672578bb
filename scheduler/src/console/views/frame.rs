//! What is around every page: where one is, who looks, and what he may do.

use crate::{
    console::{
        flash::Flash,
        page_request::{PageRequest, Undoable},
        words::Text,
    },
    users::Role,
};

/// A page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum View {
    Now,
    Backfills,
    Workers,
    Jobs,
    Nok,
    Events,
    /// One weld; reached from the list.
    Weld,
}

impl View {
    /// Those in the navigation.
    const LINKED: [Self; 6] = [
        Self::Now,
        Self::Backfills,
        Self::Workers,
        Self::Jobs,
        Self::Nok,
        Self::Events,
    ];

    fn path(self) -> &'static str {
        match self {
            Self::Now => "/ui",
            Self::Backfills => "/ui/backfills",
            Self::Workers => "/ui/workers",
            Self::Jobs => "/ui/jobs",
            Self::Nok => "/ui/nok",
            Self::Events => "/ui/events",
            Self::Weld => "/ui/weld",
        }
    }

    /// Whether it shows what is at this moment. Lists of welds and of events are read by people, who go through them.
    fn is_live(self) -> bool {
        matches!(
            self,
            Self::Now | Self::Backfills | Self::Workers | Self::Jobs
        )
    }

    fn name(self, text: &Text) -> &'static str {
        match self {
            Self::Now => text.now,
            Self::Backfills => text.backfills,
            Self::Workers => text.workers,
            Self::Jobs => text.jobs,
            Self::Nok => text.nok,
            Self::Events => text.events,
            Self::Weld => text.weld,
        }
    }
}

/// What is around every page.
pub struct Frame<'a> {
    pub title: &'static str,
    pub links: Vec<Link>,
    /// When the stores were looked at.
    pub seen: String,
    pub live: bool,
    pub has_keys: bool,
    pub request: &'a PageRequest,
}

pub struct Link {
    pub path: &'static str,
    pub name: &'static str,
    pub here: bool,
}

impl<'a> Frame<'a> {
    pub fn at(view: View, ms: i64, request: &'a PageRequest) -> Self {
        let links = View::LINKED.iter().map(|other| Link {
            path: other.path(),
            name: other.name(request.text),
            here: *other == view,
        });
        Self {
            title: view.name(request.text),
            links: links.collect(),
            seen: request.time(ms),
            live: view.is_live(),
            has_keys: matches!(view, View::Nok | View::Weld),
            request,
        }
    }

    /// Who has signed in.
    pub fn name(&self) -> Option<&str> {
        self.request.visitor.as_ref()?.name.as_deref()
    }

    pub fn role(&self) -> &'static str {
        let visitor = self.request.visitor.as_ref();
        visitor.map_or("", |visitor| self.request.text.roles[visitor.role as usize])
    }

    pub fn can_sign_out(&self) -> bool {
        let visitor = self.request.visitor.as_ref();
        visitor.is_some_and(|visitor| visitor.name.is_some() && !visitor.by_proxy)
    }

    pub fn flash(&self) -> Option<&Flash> {
        self.request.flash.as_ref()
    }

    /// What can be taken back here: where single keys do something.
    pub fn undo(&self) -> Option<&Undoable> {
        self.request.undo.as_ref().filter(|_| self.has_keys)
    }

    pub fn token(&self) -> &str {
        self.request.token()
    }

    pub fn rest(&self) -> &str {
        &self.request.rest
    }

    pub fn reviews(&self) -> bool {
        self.request.may(Role::Reviewer)
    }

    /// Whether its content changes by itself.
    pub fn is_live(&self) -> bool {
        self.live
    }

    /// Whether single keys do something on it.
    pub fn has_keys(&self) -> bool {
        self.has_keys
    }

    pub fn operates(&self) -> bool {
        self.request.may(Role::Operator)
    }
}
