//! Zygotes, as the master sees them: started, heard, lost.
//!
//! Part of the master. What a zygote says moves the start or the reload on; what becomes of its
//! workers is in `workers`.

use std::sync::Arc;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::crew::Crew;
use super::{Generation, Master, Parentage, Phase, Respawn, SECOND, children};
use crate::config::Config;
use crate::error::{Code, Error, Result};
use crate::python::Venv;
use crate::scoreboard::Scoreboard;
use crate::sys::clock;
use crate::zygote::link::FromZygote;

impl Master {
    pub(super) fn start_generation(&mut self, config: Arc<Config>, venv: Option<Venv>) -> Result<()> {
        // Room for every worker twice: a replacement comes before its predecessor leaves.
        let (cells, cores) = (2 * config.processes + 2, config.threads);
        let board = match self.generation(self.active) {
            Some(active) => active.board.next(cells, cores),
            None => Scoreboard::new(cells, cores),
        }
        .map_err(|error| Error::system("cannot map the scoreboard", error))?;
        let crew = match self.generation(self.active) {
            Some(active) => active.crew.after(&config),
            None => Crew::first(&config),
        };
        self.latest += 1;
        self.stillborn = 0;
        let parentage = Parentage {
            directory: &self.directory,
            program: &self.program,
            watch: &self.watch,
            seat: &self.seat,
            events: &self.events,
        };
        let generation = Generation::start(self.latest, config, venv, board, crew, &parentage)?;
        self.generations.push(generation);
        Ok(())
    }

    pub(super) fn zygote_said(&mut self, number: u64, message: FromZygote) {
        match message {
            FromZygote::Ready { python, app, millis } => {
                self.app_imported(number, app.is_some(), millis);
                tracing::info!("{python}");
                if let Some(app) = app {
                    tracing::info!("WSGI app 0 (mountpoint='') ready in {millis} ms: {app}");
                }
                self.zygote_ready(number);
            }
            FromZygote::Failed { error } => {
                if self.is_coming(number) {
                    self.coming_failed(error);
                }
            }
            FromZygote::Forked { cell, pid } => self.worker_forked(number, cell, Pid::from_raw(pid as i32)),
            FromZygote::NotForked { cell, reason } => {
                tracing::error!("fork(): {reason}");
                if let Some(generation) = self.generation(number) {
                    generation.board.release(cell);
                }
                if let Some(worker) = self.children.remove_asked(number, cell) {
                    self.respawns.push(Respawn { id: worker.id, at: clock::monotonic() + SECOND });
                }
            }
        }
    }

    /// The coming generation can fork: open its sockets, ask for its workers.
    fn zygote_ready(&mut self, number: u64) {
        if !self.is_coming(number) {
            return;
        }
        let opened = self.plan.take().map_or_else(|| Ok(Vec::new()), |plan| plan.open(&self.listeners));
        let handed = opened.and_then(|listeners| {
            self.coming_listeners = listeners;
            let coming = self.generations.iter_mut().find(|generation| generation.number == number);
            coming.map_or(Ok(()), |coming| {
                coming.is_up();
                coming.hand_over(&self.coming_listeners)
            })
        });
        let handed = handed.and_then(|()| self.figures.open());
        if let Err(error) = handed {
            self.coming_failed(error);
            return;
        }
        if matches!(self.phase, Phase::Starting) {
            for listener in &self.coming_listeners {
                let how = if listener.given.is_some() { "attached to" } else { "bound to" };
                tracing::info!("{} socket {how} {}", listener.protocol.as_str(), listener.name);
            }
            self.serve_figures();
            if let Err(error) = self.drop_privileges().and_then(|()| self.open_fifo(number)) {
                self.coming_failed(error);
                return;
            }
        }
        let now = clock::monotonic();
        self.crowded_until = Some(now + SECOND);
        self.populate(now);
    }

    /// Asks for the workers of the coming generation. In a storm of reloads those of the last but one
    /// are given a moment to finish, so that there are never three of a number; requests that take
    /// longer hold nothing up.
    pub(super) fn populate(&mut self, now: u64) {
        let Some(until) = self.crowded_until else { return };
        let Some(coming) = self.coming().filter(|coming| coming.ready) else {
            self.crowded_until = None;
            return;
        };
        let (number, crew): (u64, Vec<usize>) = (coming.number, coming.crew.ids().collect());
        let workers = self.children.iter().filter(|worker| worker.generation != number).count();
        let zygotes = self.generations.iter().filter(|it| it.number != number && it.zygote.is_some()).count();
        if workers + zygotes > self.crew_size() + 1 && now < until && !matches!(self.phase, Phase::Starting) {
            return;
        }
        self.crowded_until = None;
        for id in crew {
            self.ask_worker(number, id);
        }
        self.see_whether_all_serve(number);
    }

    /// The link to a zygote closed: all that it had to say was said.
    pub(super) fn zygote_silent(&mut self, number: u64) {
        if let Some(generation) = self.generation_mut(number) {
            generation.hang_up();
            generation.kill();
        }
        self.zygote_gone(number);
    }

    /// Acts on the end of a zygote, once it is both silent and dead: what it said last says more
    /// than how it died.
    pub(super) fn zygote_gone(&mut self, number: u64) {
        let Some(generation) = self.generation_mut(number) else { return };
        let (true, Some(status)) = (generation.silent, generation.death) else { return };
        generation.ready = false;
        let overdue = generation.overdue;
        let owed = self.children.remove_all_asked(number);
        if let Some(generation) = self.generation(number) {
            owed.iter().for_each(|worker| generation.board.release(worker.cell));
        }
        if self.is_coming(number) && overdue {
            self.import_timed_out();
        } else if self.is_coming(number) {
            self.coming_failed(
                Error::new(Code::ImportDied, format!("the process that imports the app {}", children::cause(status)))
                    .hint("an app that crashes at import leaves its last words in the log")
                    .exit(22),
            );
        } else if number == self.active && matches!(self.phase, Phase::Serving | Phase::Reloading(_)) {
            tracing::error!("the zygote of generation {number} {}: a reload brings a new one", children::cause(status));
            let now = clock::monotonic();
            self.respawns.extend(owed.into_iter().map(|worker| Respawn { id: worker.id, at: now }));
            if matches!(self.phase, Phase::Serving) {
                self.reload(None);
            }
        }
    }

    /// Takes zygotes for silent whose link is held open by processes that the app forked at import.
    pub(super) fn hang_up_on_the_dead(&mut self, now: u64) {
        let dead = |it: &&mut Generation| it.death.is_some() && !it.silent && now >= it.silent_by;
        let numbers: Vec<u64> = self.generations.iter_mut().filter(dead).map(|it| it.number).collect();
        for number in numbers {
            if let Some(generation) = self.generation_mut(number) {
                generation.hang_up();
            }
            self.zygote_gone(number);
        }
    }

    /// The coming generation takes too long.
    pub(super) fn coming_overdue(&mut self, now: u64) {
        let Some(coming) = self.coming().filter(|coming| now >= coming.deadline) else { return };
        let number = coming.number;
        if coming.ready { self.workers_overdue(number, now) } else { self.zygote_overdue(number, now) }
    }

    /// The import takes longer than allowed: the zygote prints where it is, and dies; one that can't
    /// even do that is killed a second later.
    fn zygote_overdue(&mut self, number: u64, now: u64) {
        let Some(generation) = self.generation_mut(number) else { return };
        if generation.overdue {
            generation.kill();
            self.import_timed_out();
        } else {
            generation.overdue = true;
            generation.deadline = now + SECOND;
            generation.abort();
        }
    }

    /// The zygote is ready and its workers do not come: they import with `lazy-apps` and hang, or
    /// it hangs while it forks.
    fn workers_overdue(&mut self, number: u64, now: u64) {
        let Some(generation) = self.generation_mut(number) else { return };
        if generation.overdue {
            self.import_timed_out();
        } else {
            generation.overdue = true;
            generation.deadline = now + SECOND / 2;
            self.children.starting(number).for_each(|pid| {
                let _ = kill(pid, Signal::SIGUSR2);
            });
        }
    }

    fn import_timed_out(&mut self) {
        let seconds = self.coming().map_or(0, |coming| coming.config.startup_timeout);
        self.coming_failed(
            Error::new(Code::ImportTimeout, format!("the app was not imported within {seconds} s"))
                .fact("where it hangs stands in the log")
                .hint(format!("startup-timeout = {} allows more", seconds.saturating_mul(4)))
                .exit(22),
        );
    }

    /// The coming generation will not come: at the start that is the end, in a reload the old one
    /// goes on.
    pub(super) fn coming_failed(&mut self, error: Error) {
        match self.phase {
            Phase::Starting => self.start_failed(error),
            Phase::Reloading(_) => self.reload_failed(error),
            Phase::Serving | Phase::Stopping => {}
        }
    }
}
