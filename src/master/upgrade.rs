//! The upgrade: a reload whose program was replaced on disk puts the new program in the place of this
//! one, in the same process, before it starts the new generation.
//!
//! The new program is tried out first, as a child that must know our kind of state. Then everything
//! that supervision needs goes over: descriptors by number, the rest as a document in memory, whose
//! number stands in one variable. `takeover` is the other side. Whatever fails before the exec changes
//! nothing: the old code goes on serving, and who asked is told.

use std::ffi::OsString;
use std::fs::File;
use std::io::{Read, Seek, Write};
use std::path::Path;

use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::WaitStatus;
use nix::unistd::Pid;

use super::children::cause;
use super::control::Waiter;
use super::reload::{answer, refuse};
use super::{Companions, Master, Phase, SECOND};
use crate::error::{Code, Error, Result};
use crate::sys::clock;
use crate::sys::exec::{Held, Passed, Program};

pub mod standing;
mod takeover;

pub use takeover::{resume, take};

/// The variable with the number of the document's descriptor.
const DOCUMENT: &str = "RUSTWSGI_UPGRADE";

/// How long the new program may take to say that it can take over, nanoseconds.
const PATIENCE: u64 = 10 * SECOND;

/// How long children may take to be in order, daemons and their mercy not counted, nanoseconds.
const SETTLING: u64 = 10 * SECOND;

/// How much of what a program that was refused has said is shown, bytes.
const SHOWN: u64 = 2000;

/// How this process was started.
#[derive(Debug, Default)]
pub struct Launch {
    /// Unknown where /proc can't be read: nothing is upgraded then.
    program: Option<Program>,
    /// The command line, the program's name first.
    arguments: Vec<OsString>,
}

/// An upgrade under way.
#[derive(Debug)]
pub struct Upgrade {
    waiters: Vec<Waiter>,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    /// The new program is tried out.
    Trying { pid: Pid, output: File, until: u64 },
    /// It is good; daemons end, and children are waited for that are between two states.
    Settling { until: u64 },
}

impl Launch {
    /// Of this process. Called before its title is set, which takes the command line's place.
    pub fn here(called: &Path, directory: &Path) -> Self {
        let program = Program::running(called, directory)
            .inspect_err(|error| tracing::debug!("the running program can't be found: {error}"));
        Self { program: program.ok(), arguments: std::env::args_os().collect() }
    }
}

/// What a program says that is tried out and can take over.
pub fn consent(layout: &str) -> String {
    format!("rustwsgi takes over {layout}")
}

/// Whether this program can take over from one whose state is of this kind.
pub fn check(layout: &str) -> Result<String> {
    let ours = standing::layout();
    if layout == ours {
        return Ok(consent(layout));
    }
    Err(Error::new(Code::UpgradeRefused, "this program can't go on with the state of the one that runs")
        .fact(format!("its kind is `{layout}`, and this program knows `{ours}`"))
        .hint("a stop and a start use the new program"))
}

impl Master {
    /// Begins an upgrade where the program was replaced; gives back who waits where it was not.
    pub(super) fn upgrade_first(&mut self, waiters: Vec<Waiter>) -> Option<Vec<Waiter>> {
        if let Some(upgrade) = &mut self.upgrade {
            upgrade.waiters.extend(waiters);
            return None;
        }
        let Some(program) = &self.launch.program else { return Some(waiters) };
        let path = program.path().display().to_string();
        match program.is_another() {
            Some(true) => {}
            Some(false) => return Some(waiters),
            None => {
                tracing::info!("`{path}` is not on the disk any more: the program that runs goes on");
                return Some(waiters);
            }
        }
        if !self.started_with.privileges.cap.is_empty() {
            tracing::warn!("`{path}` was replaced: with `cap` a stop and a start are needed to use it");
            return Some(waiters);
        }
        tracing::info!("`{path}` was replaced: trying the new program");
        let arguments: Vec<OsString> = ["--upgrade-check".into(), standing::layout().into()]
            .into_iter()
            .chain(self.launch.arguments.iter().skip(1).cloned())
            .collect();
        match program.try_out(&arguments) {
            Ok((pid, output)) => {
                let stage = Stage::Trying { pid, output, until: clock::monotonic() + PATIENCE };
                self.upgrade = Some(Upgrade { waiters, stage });
            }
            Err(error) => {
                self.upgrade = Some(Upgrade { waiters, stage: Stage::Settling { until: 0 } });
                self.upgrade_failed(self.refused(format!("it can't be started: {error}")));
            }
        }
        None
    }

    /// A child is dead; says whether it was the program that was tried out.
    pub(super) fn upgrade_tried(&mut self, pid: Pid, status: WaitStatus) -> bool {
        let output = match &mut self.upgrade {
            Some(Upgrade { stage: Stage::Trying { pid: tried, output, .. }, .. }) if *tried == pid => output,
            _ => return false,
        };
        let mut text = Vec::new();
        // What can't be read is no consent.
        let _ = output.rewind().and_then(|()| Read::by_ref(output).take(SHOWN).read_to_end(&mut text));
        let text = String::from_utf8_lossy(&text).into_owned();
        let consent = consent(&standing::layout());
        if status == WaitStatus::Exited(pid, 0) && text.lines().any(|line| line == consent) {
            let until = clock::monotonic() + SETTLING + self.companions_mercy();
            if let Some(upgrade) = &mut self.upgrade {
                upgrade.stage = Stage::Settling { until };
            }
        } else {
            let why = match status {
                WaitStatus::Exited(_, 0) => "it is no rustwsgi".to_owned(),
                _ => format!("tried out, it {}", cause(status)),
            };
            let error = self.refused(why);
            let said = text.lines().map(|line| line.chars().filter(|c| !c.is_control()).collect::<String>());
            self.upgrade_failed(said.filter(|line| !line.trim().is_empty()).take(8).fold(error, Error::fact));
        }
        true
    }

    /// Moves an upgrade on.
    pub(super) fn see_to_the_upgrade(&mut self, now: u64) {
        let Some(upgrade) = &self.upgrade else { return };
        let stopping = matches!(self.phase, Phase::Stopping);
        match upgrade.stage {
            Stage::Trying { pid, until, .. } if stopping || now >= until => {
                let _ = kill(pid, Signal::SIGKILL);
                if !stopping {
                    self.upgrade_failed(self.refused(format!("it said nothing for {} s", PATIENCE / SECOND)));
                }
            }
            Stage::Settling { until } if !stopping => {
                let ready = self.companions_end() && self.is_settled();
                if ready {
                    self.handed_over();
                    while let Some(event) = self.events.at_hand() {
                        self.heed(event);
                    }
                    self.hear_workers();
                    if self.is_settled() {
                        let error = self.replace_program();
                        self.upgrade_failed(error);
                    }
                } else if now >= until {
                    self.upgrade_failed(self.refused("the workers or daemons don't come to rest".to_owned()));
                }
            }
            _ => {}
        }
        if stopping && let Some(upgrade) = self.upgrade.take() {
            refuse(upgrade.waiters);
        }
    }

    /// Whether nothing is under way that another program could not go on with.
    fn is_settled(&self) -> bool {
        matches!(self.phase, Phase::Serving)
            && self.stop_at.is_none()
            && self.children.is_settled()
            && self.generations.iter().all(|it| it.zygote.is_some() || it.silent)
            && !self.pausing.is_pending()
            && self.staffing.is_empty()
    }

    /// Puts the new program in the place of this one; returns only where that fails.
    fn replace_program(&mut self) -> Error {
        let (Some(program), Some(upgrade)) = (&self.launch.program, &self.upgrade) else {
            return Error::new(Code::Internal, "an upgrade to nothing");
        };
        tracing::info!("...binary upgrade: the new program goes on as pid {}", Pid::this());
        let failed = |error: std::io::Error| self.refused(error.to_string());
        let held = match Held::all() {
            Ok(held) => held,
            Err(error) => return failed(error),
        };
        // Signals that came before: those that come from here on reach the new program.
        let signals = self.watch.take();
        let mut passed = Passed::default();
        let handed = self.standing(&mut passed, &signals, &upgrade.waiters).and_then(|standing| {
            let mut document = File::from(memfd_create("upgrade", MFdFlags::MFD_CLOEXEC)?);
            document.write_all(&serde_json::to_vec(&standing)?)?;
            document.rewind()?;
            passed.pass(&document)
        });
        let error = match handed {
            Ok(number) => program.replace(&self.launch.arguments, (DOCUMENT, &number.to_string())),
            Err(error) => error,
        };
        let error = failed(error);
        if let Some(pidfile) = &self.pidfile {
            // It does no more than it did before this program: children close it themselves.
            let _ = pidfile.pass(false);
        }
        drop(passed);
        drop(held);
        self.signalled(signals);
        error
    }

    fn refused(&self, why: String) -> Error {
        let path = self.launch.program.as_ref().map(|it| it.path().display().to_string()).unwrap_or_default();
        Error::new(Code::UpgradeRefused, format!("`{path}` was replaced, and the new program can't take over: {why}"))
            .hint("put a whole program in its place by renaming it there, and reload again")
    }

    /// The upgrade is given up: this program and its code go on.
    fn upgrade_failed(&mut self, error: Error) {
        let Some(upgrade) = self.upgrade.take() else { return };
        tracing::error!("{error}");
        if let Stage::Settling { until: 1.. } = upgrade.stage {
            self.companions = Companions::default();
            self.companions_wait = true;
            self.resume_companions();
        }
        if self.generation(self.active).is_none_or(|active| active.zygote.is_none()) {
            // Workers that die have no zygote to come from.
            self.reload_now(upgrade.waiters);
            return;
        }
        tracing::error!("reload failed, the old code goes on serving");
        self.notify.ready(&format!("{}; the last reload failed: {}", self.summary(), error.message));
        for waiter in upgrade.waiters {
            answer(Some(waiter), &Err(error.clone()));
        }
    }

    /// Starts daemons and crons again that an upgrade has ended, where the reload did not bring new ones.
    pub(super) fn resume_companions(&mut self) {
        if !std::mem::take(&mut self.companions_wait) {
            return;
        }
        if let Err(error) = self.companions_begin(false) {
            tracing::error!("{error}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_state_of_our_own_kind_is_taken_over() {
        assert_eq!(check(&standing::layout()).unwrap(), consent(&standing::layout()));
        let error = check("0-0-0-0").unwrap_err();
        assert!(error.code == Code::UpgradeRefused && error.to_string().contains("`0-0-0-0`"), "{error}");
    }
}
