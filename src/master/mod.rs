//! The master: starts an instance, keeps its workers alive, reloads it, ends it.
//!
//! One thread, no Python: nothing that an app does can hurt it. It waits for an event, acts on it,
//! and waits again; it never blocks on a client, a child, a disk. `boot` makes one, `reload` and
//! `shutdown` are its two long stories, `zygotes` and `workers` what it does about those, the other
//! files its tables. It calls `zygote::run` and
//! nothing else that is above the floor of sockets.
#![forbid(unsafe_code)]

use std::io;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use crate::config::{Config, Source};
use crate::error::Error;
use crate::net::listener::Listener;
use crate::sys::channel::Channel;
use crate::sys::clock;
use crate::sys::signal::Watch;
use crate::worker::notice::Notice;

mod activation;
pub mod ask;
mod boot;
mod cheaper;
mod children;
pub mod command;
pub mod control;
mod crew;
mod cron;
mod daemon;
mod daemons;
mod events;
mod fifo;
mod generation;
mod harakiri;
mod hooks;
mod ledger;
pub mod notify;
mod pause;
mod pidfile;
pub mod privileges;
mod recycle;
mod reload;
mod relog;
mod respawn;
mod rotate;
mod shutdown;
mod sockets;
mod staff;
mod stats;
pub mod status;
mod turnover;
pub mod upgrade;
pub mod vassal;
mod watch;
mod workers;
mod zygotes;

pub use boot::{serve, settle};
pub use children::cause;
pub use daemon::Boot;
pub use pidfile::Pidfile;

use cheaper::Cheaper;
use children::{Children, State};
use events::{Event, Events};
use fifo::Fifo;
use generation::{Generation, Parentage};
use harakiri::Harakiri;
use hooks::Companions;
use ledger::Ledger;
use notify::Notify;
use pause::Pausing;
use recycle::Recycle;
use reload::{Crowd, Handover, Reload};
use respawn::OutOfMemory;
use sockets::Plan;
use stats::Figures;
use turnover::Turnover;
use upgrade::{Launch, Upgrade};
use vassal::Vassal;
use watch::Triggers;

const SECOND: u64 = 1_000_000_000;

/// A worker that dies within this time, nanoseconds, died young.
const YOUNG: u64 = SECOND;

/// How long a process may say that it serves before its zygote says that it was forked, nanoseconds.
const STRANGE: u64 = 10 * SECOND;

/// Workers of a generation that may die before they serve until it counts as failed.
const STILLBORN: u32 = 3;

/// A running instance.
#[derive(Debug)]
pub struct Master {
    source: Source,
    /// What the start was configured with.
    started_with: Arc<Config>,
    directory: PathBuf,
    program: PathBuf,
    events: Events,
    watch: Arc<Watch>,
    seat: Channel,
    /// The other end of all seats.
    seats: Channel,
    pidfile: Option<Pidfile>,
    boot: Boot,
    /// All that have a process left, the retired ones too.
    generations: Vec<Generation>,
    /// The number of the generation that serves, or at the start is to.
    active: u64,
    /// The number of the latest generation.
    latest: u64,
    listeners: Vec<Listener>,
    /// Sockets of the coming generation, opened when its app is imported.
    plan: Option<Plan>,
    /// Listeners of the coming generation, once opened.
    coming_listeners: Vec<Listener>,
    children: Children,
    respawns: Vec<Respawn>,
    harakiri: Harakiri,
    notify: Notify,
    /// The way to the emperor, where this instance has one.
    vassal: Option<Vassal>,
    companions: Companions,
    recycle: Recycle,
    ledger: Ledger,
    figures: Figures,
    out_of_memory: OutOfMemory,
    /// What is known of the load; none where it does not matter.
    cheaper: Option<Cheaper>,
    phase: Phase,
    /// A reload was asked for before the start was over, by these.
    reload_after_start: Option<Vec<control::Waiter>>,
    /// A reload that waits for earlier ones to leave nothing.
    crowd: Option<Crowd>,
    /// CLOCK_MONOTONIC nanoseconds at which a reload for a lost zygote is tried again.
    retry_reload: Option<u64>,
    /// Reloads that failed in a row while there was no zygote.
    retries: u32,
    /// A reload that is done but for old workers that may still accept.
    handover: Option<Handover>,
    /// Workers being replaced by workers of the same generation.
    turnover: Option<Turnover>,
    pausing: Pausing,
    /// Who waits until as many workers serve as were asked for.
    staffing: Vec<control::Waiter>,
    fifo: Fifo,
    /// Files whose change asks for something.
    triggers: Triggers,
    /// CLOCK_MONOTONIC nanoseconds of the next look at the size of the log file.
    look_at_log: u64,
    /// CLOCK_MONOTONIC nanoseconds at which the stop that was asked for begins.
    stop_at: Option<u64>,
    /// CLOCK_MONOTONIC nanoseconds until which the workers of the coming generation wait for old ones
    /// to be gone; `None` when nobody waits.
    crowded_until: Option<u64>,
    /// Workers of the coming generation that died before they served.
    stillborn: u32,
    began: u64,
    /// What a start failed of.
    failure: Option<Error>,
    launch: Launch,
    /// A reload that waits for another program to take this one's place.
    upgrade: Option<Upgrade>,
    /// The control socket, for that program.
    control: Option<UnixListener>,
    /// Whether daemons and crons were ended by an upgrade and not begun again.
    companions_wait: bool,
}

/// What the master is about.
#[derive(Debug)]
enum Phase {
    /// The first generation comes up.
    Starting,
    /// All is well.
    Serving,
    /// A second generation comes up beside the first.
    Reloading(Reload),
    /// The workers finish.
    Stopping,
}

/// A worker to be forked again.
#[derive(Debug)]
struct Respawn {
    id: usize,
    /// CLOCK_MONOTONIC nanoseconds before which it is not.
    at: u64,
}

impl Master {
    /// Supervises until the last child is gone; returns the exit code.
    fn run(&mut self) -> i32 {
        loop {
            let event = self.events.next(self.patience());
            self.heed(event);
            // What the dead said last was said before they died: heard before their end is acted on.
            let dead = self.reap();
            self.hear_workers();
            for (pid, status) in dead {
                self.died(pid, status);
            }
            self.look_at_the_clock();
            self.forget_generations();
            if matches!(self.phase, Phase::Stopping) && self.is_alone() && self.companions_end() {
                return self.finish();
            }
        }
    }

    /// Acts on an event.
    fn heed(&mut self, event: Event) {
        match event {
            Event::Signals(signals) => self.signalled(signals),
            Event::Letters(letters) => self.spelled(&letters),
            Event::Asked(command, waiter) => self.act(command, Some(waiter)),
            Event::Zygote(number, Some(message)) => self.zygote_said(number, message),
            Event::Zygote(number, None) => self.zygote_silent(number),
            Event::Knocked => self.knocked(),
            // Who asked may be gone.
            Event::Looked(asker) => drop(asker.send(self.snapshot())),
            // Heard whatever the event was, like what else comes in meanwhile.
            Event::Workers | Event::Tick => {}
        }
    }

    /// How long to wait for the next event: deadlines are looked at this often.
    fn patience(&self) -> Duration {
        let busy = !matches!(self.phase, Phase::Serving)
            || self.handover.is_some()
            || self.companions.is_restless()
            || self.turnover.is_some()
            || self.crowd.is_some()
            || self.upgrade.is_some()
            || self.pausing.is_pending()
            || !self.staffing.is_empty()
            || self.stop_at.is_some()
            || !self.respawns.is_empty()
            || self.harakiri.is_pending();
        let watched = self.generations.iter().any(|it| it.config.harakiri > 0 || it.board.has_user_deadlines());
        let patience = Duration::from_millis(if busy {
            50
        } else if watched {
            250
        } else {
            1000
        });
        self.notify.patience().map_or(patience, |bound| patience.min(Duration::from_nanos(bound)))
    }

    // ---- generations

    fn generation(&self, number: u64) -> Option<&Generation> {
        self.generations.iter().find(|generation| generation.number == number)
    }

    fn generation_mut(&mut self, number: u64) -> Option<&mut Generation> {
        self.generations.iter_mut().find(|generation| generation.number == number)
    }

    /// The generation that is coming up, at start or in a reload.
    fn coming(&self) -> Option<&Generation> {
        match self.phase {
            Phase::Starting | Phase::Reloading(_) => self.generation(self.latest),
            Phase::Serving | Phase::Stopping => None,
        }
    }

    fn is_coming(&self, number: u64) -> bool {
        self.coming().is_some_and(|coming| coming.number == number)
    }

    // ---- deaths and deadlines

    /// Hears what workers have said by now.
    fn hear_workers(&mut self) {
        loop {
            match self.seats.receive::<Notice>() {
                Ok(Some((notice, _))) => self.worker_said(notice),
                Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                    tracing::error!("a message that can't be read was dropped: {error}");
                }
                // The master holds a seat itself, so the channel has no end.
                Ok(None) | Err(_) => return,
            }
        }
    }

    /// A child is dead. Orphans of the app's are among them: they change nothing.
    fn died(&mut self, pid: Pid, status: WaitStatus) {
        if self.upgrade_tried(pid, status) {
            return;
        }
        if let Some(zygote) = self.generations.iter_mut().find(|it| it.zygote == Some(pid)) {
            zygote.zygote = None;
            zygote.death = Some(status);
            zygote.silent_by = clock::monotonic() + SECOND;
            let number = zygote.number;
            self.zygote_gone(number);
        } else if self.children.by_pid(pid).is_some() {
            self.worker_died(pid, status);
        } else if !self.companion_died(pid, status) {
            self.children.keep_unclaimed(pid, status);
        }
    }

    /// Reaps every child that is dead.
    fn reap(&mut self) -> Vec<(Pid, WaitStatus)> {
        let mut dead = Vec::new();
        loop {
            match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
                Ok(status @ (WaitStatus::Exited(pid, _) | WaitStatus::Signaled(pid, ..))) => dead.push((pid, status)),
                Ok(WaitStatus::StillAlive) | Err(Errno::ECHILD) => return dead,
                Ok(_) | Err(Errno::EINTR) => {}
                Err(error) => {
                    tracing::error!("waitpid(): {error}");
                    return dead;
                }
            }
        }
    }

    /// Acts on every deadline that has passed.
    fn look_at_the_clock(&mut self) {
        let now = clock::monotonic();
        self.report_to_emperor(now);
        self.notify.beat(now, matches!(self.phase, Phase::Starting | Phase::Stopping));
        self.check_harakiri(now);
        for worker in self.children.iter_mut() {
            if let (State::Leaving { until, killed: false }, Some(pid)) = (worker.state, worker.pid)
                && now >= until
            {
                tracing::warn!("worker {} (pid: {pid}) is taking too much time to die...NO MERCY !!!", worker.id);
                let _ = kill(pid, Signal::SIGUSR2);
                worker.state = State::Leaving { until: now + SECOND / 5, killed: true };
            } else if let (State::Leaving { until, killed: true }, Some(pid)) = (worker.state, worker.pid)
                && now >= until
            {
                let _ = kill(pid, Signal::SIGKILL);
            }
        }
        self.leave_the_undead(now);
        self.stop_when_due(now);
        self.populate(now);
        self.see_to_the_pause();
        self.see_to_the_staff();
        self.look_at_triggers(now);
        self.look_at_the_log(now);
        self.hang_up_on_the_dead(now);
        self.coming_overdue(now);
        self.end_what_hangs(now);
        for stranger in self.children.take_strangers(now.saturating_sub(STRANGE)) {
            tracing::error!("a worker (pid: {stranger}) that nobody told of was killed");
            let _ = kill(stranger, Signal::SIGKILL);
        }
        self.look_at_the_workers(now);
        self.recycle_next(now);
        self.look_at_the_load(now);
        self.respawn(now);
        self.companions_check();
        self.see_to_the_upgrade(now);
        if self.handover.as_ref().is_some_and(|handover| now >= handover.until) {
            self.handed_over();
        }
        self.begin_when_alone(now);
        if self.retry_reload.is_some_and(|at| now >= at) {
            self.retry_reload = None;
            if matches!(self.phase, Phase::Serving) {
                self.begin_reload(Vec::new());
            }
        }
    }

    /// Drops retired generations of which nothing is left.
    fn forget_generations(&mut self) {
        let (active, latest, children) = (self.active, self.latest, &mut self.children);
        let coming = matches!(self.phase, Phase::Starting | Phase::Reloading(_));
        self.generations.retain(|generation| {
            let kept = generation.number == active
                || (coming && generation.number == latest)
                || generation.zygote.is_some()
                || children.iter().any(|worker| worker.generation == generation.number);
            if !kept {
                children.forget(generation.number);
            }
            kept
        });
    }

    /// Whether no child is left.
    fn is_alone(&self) -> bool {
        self.children.is_empty() && self.generations.iter().all(|generation| generation.zygote.is_none())
    }
}
