//! What is around every page: where one is, who looks, and what he may do.

use crate::{
    console::{page_request::PageRequest, undo::Undo, words::Text},
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

    /// Where it is, and what it is called.
    fn path_and_name(self, text: &Text) -> (&'static str, &'static str) {
        match self {
            Self::Now => ("/ui", text.now),
            Self::Backfills => ("/ui/backfills", text.backfills),
            Self::Workers => ("/ui/workers", text.workers),
            Self::Jobs => ("/ui/jobs", text.jobs),
            Self::Nok => ("/ui/nok", text.nok),
            Self::Events => ("/ui/events", text.events),
            Self::Weld => ("/ui/weld", text.weld),
        }
    }
}

/// What is around every page.
pub struct Frame<'a> {
    pub title: &'static str,
    pub links: Vec<Link>,
    /// When the stores were looked at.
    pub seen: String,
    view: View,
    pub request: &'a PageRequest,
}

pub struct Link {
    pub path: &'static str,
    pub name: &'static str,
    pub here: bool,
}

impl<'a> Frame<'a> {
    pub fn at(view: View, ms: i64, request: &'a PageRequest) -> Self {
        let links = View::LINKED.into_iter().map(|other| {
            let (path, name) = other.path_and_name(request.text);
            let here = other == view;
            Link { path, name, here }
        });
        Self {
            title: view.path_and_name(request.text).1,
            links: links.collect(),
            seen: request.time(ms),
            view,
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

    /// What can be taken back here: where single keys do something.
    pub fn undo(&self) -> Option<&Undo> {
        self.request.undo.as_ref().filter(|_| self.has_keys())
    }

    pub fn reviews(&self) -> bool {
        self.request.may(Role::Reviewer)
    }

    /// Whether its content changes by itself: it shows what is at this moment. Lists of welds and of events are read by
    /// people, who go through them.
    pub fn is_live(&self) -> bool {
        use View::{Backfills, Jobs, Now, Workers};
        matches!(self.view, Now | Backfills | Workers | Jobs)
    }

    /// Whether single keys do something on it.
    pub fn has_keys(&self) -> bool {
        matches!(self.view, View::Nok | View::Weld)
    }

    pub fn operates(&self) -> bool {
        self.request.may(Role::Operator)
    }
}
