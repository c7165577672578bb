//! The steps of a range, by the names that metrics, log lines and fail points have for them.

use weldfleet_stores::clickhouse::Capability;

/// A step of a range on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Reading its rows.
    Fetch,
    Judge,
    Audit,
    Store,
    Commit,
    /// Reading what the mirror needs, and MySQL.
    Mirror,
}

impl Step {
    /// In `weldfleet_stage_seconds` and log lines.
    pub fn name(self) -> &'static str {
        match self {
            Self::Fetch => "fetch",
            Self::Judge => "judge",
            Self::Audit => "audit",
            Self::Store => "store",
            Self::Commit => "commit",
            Self::Mirror => "mirror",
        }
    }

    /// The fail point behind it.
    pub fn fail_point(self) -> &'static str {
        match self {
            Self::Fetch => "worker::fetched",
            Self::Judge => "worker::judged",
            Self::Audit => "worker::audited",
            Self::Store => "worker::stored",
            Self::Commit => "worker::committed",
            Self::Mirror => "worker::mirrored",
        }
    }

    /// What of ClickHouse it needs; `None`: it is not about ClickHouse.
    pub fn capability(self) -> Option<Capability> {
        match self {
            Self::Fetch => Some(Capability::Read),
            Self::Judge | Self::Audit => None,
            Self::Store => Some(Capability::Store),
            Self::Commit => Some(Capability::Commit),
            Self::Mirror => Some(Capability::Mirror),
        }
    }
}
