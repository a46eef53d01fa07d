//! The figures of an instance as documents: uWSGI's JSON, Prometheus' text, the status page.
//!
//! Pure: what is known comes in as a [`Snapshot`], text goes out. The master makes snapshots and
//! serves the documents; nothing here opens a socket or looks at a process.
#![forbid(unsafe_code)]

pub mod document;
mod json;
mod life;
mod metrics;
mod page;
pub mod prometheus;

pub use document::Document;
pub use life::{Ends, Life, Reloads};
pub use metrics::{Kind, Metric};
pub use page::PAGE;

use serde::Serialize;

/// An instance at one moment.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Snapshot {
    /// What uWSGI has no words for.
    pub life: Life,
    /// What uWSGI tells.
    pub stats: Document,
}

impl Snapshot {
    /// One line of JSON with everything, as the status page reads it.
    pub fn line(&self) -> serde_json::Result<String> {
        serde_json::to_string(self)
    }
}
