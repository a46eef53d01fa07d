//! The rows of uWSGI's options that are not built, a line each, a file for a few chapters.
//!
//! Part of the option table, see `options`. A row that is built moves to a chapter beside this file.

pub(super) mod content;
pub(super) mod fleet;
pub(super) mod plugins;
pub(super) mod processes;
pub(super) mod serving;
pub(super) mod tasks;
pub(super) mod watching;
