//! Values of the chapter on requests that a start would refuse.
//!
//! Called by `check` with everything else that can be told without starting.

use crate::config::{Config, Findings};
use crate::error::{Code, Error};

impl Config {
    /// Finds headers that can't be sent.
    pub(super) fn check_requests(&self, findings: &mut Findings) {
        if let Some((header, why)) = self.requests.bad_header() {
            let error = Error::new(Code::BadValue, format!("`add-header = {header}`: {why}"));
            findings.fail(error.maybe_at(self.setting_with("add-header", header)).part(header));
        }
    }
}
