//! How a zygote gives up what the application must not have: limits, root directory, user.
//!
//! The workers inherit all of it. The order: limits while this is root still, then the jail, then
//! groups, group, user and capabilities, then no new privileges. The last two come before Python
//! starts, or as late as `drop-after-init` and `drop-after-apps` say.

use std::io;

use nix::sys::prctl;
use nix::sys::signal::Signal;

use super::Birth;
use crate::config::{Config, Warning};
use crate::error::{Code, Error, Result};
use crate::sys::limit::{self, Limit};
use crate::sys::{isolation, process, user};

/// A point of the start at which privileges can be given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// Before Python starts.
    Start,
    /// Python is up (uWSGI: `--drop-after-init`).
    Init,
    /// The application is loaded (uWSGI: `--drop-after-apps`).
    Apps,
}

impl Moment {
    /// The one that the configuration asks for.
    pub fn of(config: &Config) -> Self {
        match &config.privileges {
            own if own.drop_after_apps => Self::Apps,
            own if own.drop_after_init => Self::Init,
            _ => Self::Start,
        }
    }
}

impl Birth {
    /// Shuts the process in (uWSGI: `--chroot`), which takes root.
    pub fn enter_jail(&self) -> Result<()> {
        let Some(jail) = &self.config.privileges.chroot else { return Ok(()) };
        isolation::change_root(&self.directory.join(jail)).map_err(|error| {
            let refused = Error::new(Code::IsolationRefused, format!("cannot chroot to `{}`: {error}", jail.display()));
            let refused = refused.maybe_at(self.config.origin("chroot"));
            match user::is_root() {
                true => refused,
                false => refused.hint("the master has to stay root for it: this takes a restart, not a reload"),
            }
        })
    }

    /// Gives up root for good, if this is the moment. Does nothing in a process that is not root:
    /// its master gave it up before.
    pub fn drop_at(&self, moment: Moment) -> Result<()> {
        if moment != Moment::of(&self.config) {
            return Ok(());
        }
        if user::is_root() && self.identity.is_another() {
            self.identity
                .assume()
                .map_err(|error| Error::new(Code::NotPermitted, format!("cannot change user: {error}")))?;
            // Changing the user clears it.
            process::signal_on_parent_death(Signal::SIGKILL).map_err(|error| Error::system("prctl", error))?;
        }
        if self.config.privileges.no_new_privs {
            prctl::set_no_new_privs().map_err(|error| Error::system("cannot set no-new-privs", error))?;
        }
        Ok(())
    }
}

/// Sets what the application may use of the machine. What the system refuses is a warning, as in
/// uWSGI; there it comes after the user has changed, so that much is refused that is granted here.
pub fn limit(config: &Config) {
    let own = &config.privileges;
    let megabytes = own.limit_as.saturating_mul(1024 * 1024);
    let limits = [
        ("max-fd", Limit::Files, own.max_fd),
        ("limit-as", Limit::AddressSpace, megabytes),
        ("limit-nproc", Limit::Processes, own.limit_nproc),
    ];
    for (option, limit, most) in limits.into_iter().filter(|(.., most)| *most > 0) {
        // A master that is root no more has set it already, where it had to be raised.
        if limit.now().ok() != Some(most) {
            tell(config, option, limit.set(most));
        }
    }
    if own.oom_score_adj != 0 {
        tell(config, "oom-score-adj", limit::adjust_oom_score(own.oom_score_adj));
    }
    if own.ksm.is_some() {
        tell(config, "ksm", limit::merge_memory());
    }
}

fn tell(config: &Config, option: &str, outcome: io::Result<()>) {
    if let Err(error) = outcome {
        let refused = Error::new(Code::LimitRefused, format!("`{option}` is not in force: {error}"));
        tracing::warn!("{}", Warning::from(refused.maybe_at(config.origin(option))));
    }
}
