//! What brings a reload about by itself: files that somebody touches, paths in which something changes,
//! Python files that the app was imported from.
//!
//! Part of the master, which looks once a second (uWSGI does, too) and makes commands of what it finds.
//! A file that is not there yet is waited for.

use std::collections::HashMap;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};

use super::command::Command;
use super::reload::date;
use super::{Master, Phase, SECOND};
use crate::config::Config;
use crate::error::Result;

/// Everything that is looked at.
#[derive(Debug, Default)]
pub struct Triggers {
    touched: Vec<Touched>,
    trees: Trees,
    imports: Imports,
    /// CLOCK_MONOTONIC nanoseconds of the next look.
    next: u64,
}

/// A file whose touch asks for something.
#[derive(Debug)]
struct Touched {
    path: PathBuf,
    /// As configured.
    shown: String,
    command: Command,
    /// What the file was when it was last there.
    seen: Option<Stamp>,
}

/// What tells one state of a file from another: modification time in nanoseconds, and inode.
type Stamp = (i128, u64);

/// Paths whose every change counts (uWSGI: `--fs-reload`).
#[derive(Debug, Default)]
struct Trees {
    inotify: Option<Inotify>,
    /// The path, and whether it is watched at present.
    paths: Vec<(PathBuf, bool)>,
}

/// The Python files of the app (uWSGI: `--py-autoreload`).
#[derive(Debug, Default)]
struct Imports {
    /// Seconds between two looks; 0 for none.
    every: u64,
    /// CLOCK_MONOTONIC nanoseconds of the next look.
    next: u64,
    /// Modification times in nanoseconds, as they were when each file was imported.
    known: HashMap<PathBuf, i128>,
}

impl Triggers {
    /// What `config` names; of what was looked at `before` nothing is missed.
    fn of(config: &Config, directory: &Path, before: Self) -> Self {
        let base = config.app_directory(directory);
        let reloading = &config.reloading;
        let lists = [
            (&reloading.touch_reload, Command::Reload),
            (&reloading.touch_workers_reload, Command::ReloadWorkers),
            (&reloading.touch_chain_reload, Command::ReloadChain),
            (&reloading.touch_logreopen, Command::ReopenLog),
            (&reloading.touch_logrotate, Command::RotateLog),
        ];
        let touched = lists
            .into_iter()
            .flat_map(|(files, command)| files.iter().map(move |file| (file, command)))
            .map(|(file, command)| {
                let path = base.join(file);
                match before.touched.iter().find(|old| old.path == path && old.command == command) {
                    Some(old) => Touched { path, shown: file.clone(), command, seen: old.seen },
                    None => Touched::new(path, file.clone(), command),
                }
            })
            .collect();
        let paths: Vec<PathBuf> = reloading.fs_reload.iter().map(|path| base.join(path)).collect();
        let same = before.trees.paths.iter().map(|(path, _)| path).eq(&paths);
        let trees = if same { before.trees } else { Trees::new(paths.into_iter()) };
        let imports = Imports { every: reloading.py_auto_reload, ..Imports::default() };
        Self { touched, trees, imports, next: 0 }
    }
}

impl Touched {
    fn new(path: PathBuf, shown: String, command: Command) -> Self {
        let seen = stamp(&path);
        if seen.is_none() {
            tracing::warn!("unable to stat() {shown}, events will be triggered as soon as the file is created");
        }
        Self { path, shown, command, seen }
    }

    /// Whether the file was touched, made or replaced since the last look. One that is gone is waited
    /// for (uWSGI: that counts, too, and reloads in the middle of a deployment).
    fn look(&mut self) -> bool {
        match stamp(&self.path) {
            Some(now) if self.seen != Some(now) => {
                self.seen = Some(now);
                true
            }
            _ => false,
        }
    }

    fn tell(&self) {
        let what = match self.command {
            Command::ReloadWorkers => "workers reload",
            Command::ReloadChain => "chain reload",
            Command::ReopenLog => "log reopen",
            Command::RotateLog => "log rotation",
            _ => "grace them all",
        };
        tracing::info!("{} - *** {} has been touched... {what} !!! ***", date(), self.shown);
    }
}

impl Trees {
    fn new(paths: impl Iterator<Item = PathBuf>) -> Self {
        let paths: Vec<(PathBuf, bool)> = paths.map(|path| (path, false)).collect();
        if paths.is_empty() {
            return Self::default();
        }
        let inotify = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC)
            .inspect_err(|error| tracing::error!("fs-reload does not work: inotify_init1(): {error}"))
            .ok();
        let mut trees = Self { inotify, paths };
        trees.watch();
        trees
    }

    /// Watches what is not watched and is there by now; returns whether there was any.
    fn watch(&mut self) -> bool {
        let Some(inotify) = &self.inotify else { return false };
        let kinds = AddWatchFlags::IN_ATTRIB
            | AddWatchFlags::IN_CREATE
            | AddWatchFlags::IN_DELETE
            | AddWatchFlags::IN_DELETE_SELF
            | AddWatchFlags::IN_MODIFY
            | AddWatchFlags::IN_MOVE_SELF
            | AddWatchFlags::IN_MOVED_FROM
            | AddWatchFlags::IN_MOVED_TO;
        let mut new = false;
        for (path, watched) in self.paths.iter_mut().filter(|(_, watched)| !watched) {
            *watched = inotify.add_watch(path.as_path(), kinds).is_ok();
            new |= *watched;
        }
        new
    }

    /// Whether something has changed since the last look.
    fn look(&mut self) -> bool {
        let Some(inotify) = &self.inotify else { return false };
        let mut changed = false;
        let mut lost = false;
        while let Ok(events) = inotify.read_events() {
            changed |= !events.is_empty();
            lost |= events.iter().any(|event| {
                event
                    .mask
                    .intersects(AddWatchFlags::IN_IGNORED | AddWatchFlags::IN_DELETE_SELF | AddWatchFlags::IN_MOVE_SELF)
            });
            if events.is_empty() {
                break;
            }
        }
        if lost {
            // Which one is not said; watching a path twice is watching it once.
            self.paths.iter_mut().for_each(|(_, watched)| *watched = false);
            self.watch();
            return true;
        }
        self.watch() || changed
    }
}

impl Imports {
    /// Takes note of lines `NANOSECONDS PATH` that a zygote or a worker has written.
    fn note(&mut self, lines: &str) {
        for (nanos, path) in lines.lines().filter_map(|line| line.split_once(' ')) {
            if let Ok(nanos) = nanos.parse() {
                self.known.insert(path.into(), nanos);
            }
        }
    }

    /// The files that are not what was imported; each is told once.
    fn look(&mut self) -> Vec<PathBuf> {
        let mut changed = Vec::new();
        for (path, known) in &mut self.known {
            // One that is gone is being written anew, or is not imported next time.
            if let Some((nanos, _)) = stamp(path).filter(|(nanos, _)| nanos != known) {
                *known = nanos;
                changed.push(path.clone());
            }
        }
        changed
    }
}

impl Master {
    /// Looks at what the configuration of the serving generation names, from now on.
    pub(super) fn apply_triggers(&mut self) {
        let Some(config) = self.generation(self.active).map(|active| active.config.clone()) else { return };
        self.triggers = Triggers::of(&config, &self.directory, std::mem::take(&mut self.triggers));
        if let Err(error) = self.fifo.apply(&config, &self.directory, &self.events) {
            tracing::error!("{error}");
        }
    }

    /// Opens the FIFO at the start.
    pub(super) fn open_fifo(&mut self, number: u64) -> Result<()> {
        let Some(config) = self.generation(number).map(|it| it.config.clone()) else { return Ok(()) };
        self.fifo.apply(&config, &self.directory, &self.events)
    }

    /// Acts on what has changed.
    pub(super) fn look_at_triggers(&mut self, now: u64) {
        if now < self.triggers.next || !matches!(self.phase, Phase::Serving | Phase::Reloading(_)) {
            return;
        }
        self.triggers.next = now + SECOND;
        self.fifo.look(&self.events);
        let mut commands = Vec::new();
        for file in &mut self.triggers.touched {
            if file.look() {
                file.tell();
                commands.push(file.command);
            }
        }
        if self.triggers.trees.look() {
            tracing::info!("{} - *** a path of fs-reload has changed... grace them all !!! ***", date());
            commands.push(Command::Reload);
        }
        if self.modules_changed(now) {
            commands.push(Command::Reload);
        }
        // A reload does what the lesser ones would, but for the log.
        let reload = commands.contains(&Command::Reload);
        let lives_on = |command: &Command| matches!(command, Command::Reload | Command::ReopenLog | Command::RotateLog);
        commands.retain(|command| !reload || lives_on(command));
        for (at, command) in commands.iter().enumerate() {
            if !commands[..at].contains(command) {
                self.act(*command, None);
            }
        }
    }

    /// Whether a module of the app has another text than was imported.
    fn modules_changed(&mut self, now: u64) -> bool {
        let imports = &mut self.triggers.imports;
        // During a reload two generations have files, and the new one has the truth.
        if imports.every == 0 || now < imports.next || !matches!(self.phase, Phase::Serving) {
            return false;
        }
        imports.next = now + imports.every.saturating_mul(SECOND);
        if let Some(active) = self.generations.iter_mut().find(|it| it.number == self.active) {
            imports.note(&active.new_imports());
        }
        let changed = imports.look();
        for path in &changed {
            tracing::info!("[uwsgi-python-reloader] file {} has been modified", path.display());
        }
        !changed.is_empty()
    }

    /// Has the files of a generation that failed watched too: the mistake may stand in one that the
    /// code which serves does not know.
    pub(super) fn watch_failed_imports(&mut self) {
        let latest = self.latest;
        if latest != self.active
            && let Some(failed) = self.generations.iter_mut().find(|it| it.number == latest)
        {
            let lines = failed.new_imports();
            self.triggers.imports.note(&lines);
        }
    }
}

fn stamp(path: &Path) -> Option<Stamp> {
    let nanos = |about: &Metadata| i128::from(about.mtime()) * 1_000_000_000 + i128::from(about.mtime_nsec());
    std::fs::metadata(path).ok().map(|about| (nanos(&about), about.ino()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_told_once_a_touch_and_waited_for() {
        let path = std::env::temp_dir().join(format!("rustwsgi-touch-{}", std::process::id()));
        let mut touched = Touched::new(path.clone(), "f".into(), Command::Reload);
        assert!(!touched.look());
        std::fs::write(&path, "").unwrap();
        assert!(touched.look() && !touched.look());
        std::fs::remove_file(&path).unwrap();
        assert!(!touched.look());
    }

    #[test]
    fn changed_modules_are_told_once() {
        let path = std::env::temp_dir().join(format!("rustwsgi-import-{}.py", std::process::id()));
        std::fs::write(&path, "").unwrap();
        let mut imports = Imports::default();
        imports.note(&format!("1 {}\nnonsense\n2 /nowhere.py\n", path.display()));
        assert_eq!(imports.look(), std::slice::from_ref(&path));
        assert!(imports.look().is_empty());
        std::fs::remove_file(&path).unwrap();
    }
}
