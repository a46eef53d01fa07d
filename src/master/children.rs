//! The worker processes: which there are, what each is doing, and what is owed to whom.
//!
//! A table and the questions the master asks of it. Kills and forks nothing by itself.

use std::collections::{HashMap, HashSet};

use nix::sys::wait::WaitStatus;
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

use crate::worker::notice::Notice;

/// One worker process, from the moment it was asked for until it was reaped.
#[derive(Debug)]
pub struct Worker {
    /// Its number, 1 to `processes`.
    pub id: usize,
    /// The generation whose zygote forks it.
    pub generation: u64,
    /// Its cell on that generation's scoreboard.
    pub cell: usize,
    /// Its pid, once the zygote told.
    pub pid: Option<Pid>,
    /// How far it is.
    pub state: State,
    /// CLOCK_MONOTONIC nanoseconds at which the state began.
    pub since: u64,
    /// Whether it serves until another one of its number does.
    pub recycling: bool,
}

/// How far a worker is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum State {
    /// The zygote was asked to fork it, or has just done so.
    Starting,
    /// It accepts requests.
    Serving,
    /// It was killed before it served: nobody needs it.
    Unwanted,
    /// It hangs: it was replaced, and is killed as soon as its other requests had their chance.
    Condemned,
    /// It was killed and does not die. Nobody waits for it.
    Undead,
    /// It was told to finish; killed when `until` has passed.
    Leaving {
        /// CLOCK_MONOTONIC nanoseconds.
        until: u64,
        /// SIGKILL was sent.
        killed: bool,
    },
}

/// All workers of all generations.
#[derive(Debug, Default)]
pub struct Children {
    workers: Vec<Worker>,
    /// Deaths of processes that nobody has told the pid of yet.
    unclaimed: Vec<(Pid, WaitStatus)>,
    /// What workers said before the zygote told their pid: two sockets keep no order.
    early: HashMap<Pid, (u64, Notice)>,
    /// Quick deaths in a row, by worker number.
    quick_deaths: HashMap<usize, u32>,
    /// Generations and numbers that had a worker before.
    known: HashSet<(u64, usize)>,
}

/// The table as another program can read it. Only what is there between two messages: see
/// [`Children::is_settled`].
#[derive(Debug, Serialize, Deserialize)]
pub struct Standing {
    workers: Vec<(usize, u64, usize, i32, State, u64)>,
    quick_deaths: HashMap<usize, u32>,
    known: HashSet<(u64, usize)>,
}

/// The most deaths of unknown processes remembered; orphans of the app's are among them.
const UNCLAIMED: usize = 256;

impl Children {
    /// Whether the pid of everybody is known, and everybody who spoke.
    pub fn is_settled(&self) -> bool {
        self.early.is_empty() && self.workers.iter().all(|worker| worker.pid.is_some())
    }

    /// The table as it stands.
    pub fn standing(&self) -> Standing {
        let told = |it: &Worker| Some((it.id, it.generation, it.cell, it.pid?.as_raw(), it.state, it.since));
        Standing {
            workers: self.workers.iter().filter_map(told).collect(),
            quick_deaths: self.quick_deaths.clone(),
            known: self.known.clone(),
        }
    }

    /// The table of the program before this one. Who was to be recycled asks again.
    pub fn adopt(standing: Standing) -> Self {
        let Standing { workers, quick_deaths, known } = standing;
        let workers = workers.into_iter().map(|(id, generation, cell, pid, state, since)| Worker {
            id,
            generation,
            cell,
            pid: Some(Pid::from_raw(pid)),
            state,
            since,
            recycling: false,
        });
        Self { workers: workers.collect(), quick_deaths, known, ..Self::default() }
    }

    /// Notes a worker that the zygote was asked for.
    pub fn asked(&mut self, id: usize, generation: u64, cell: usize, now: u64) {
        self.workers.push(Worker {
            id,
            generation,
            cell,
            pid: None,
            state: State::Starting,
            since: now,
            recycling: false,
        });
    }

    /// Notes the pid of a worker; returns whether its generation had one of its number before, and what
    /// came in about it before its pid was known.
    pub fn forked(
        &mut self,
        generation: u64,
        cell: usize,
        pid: Pid,
    ) -> Option<(&Worker, bool, Option<Notice>, Option<WaitStatus>)> {
        let early = self.early.remove(&pid).map(|(_, notice)| notice);
        let death = self.unclaimed.iter().position(|(dead, _)| *dead == pid).map(|at| self.unclaimed.swap_remove(at).1);
        let worker = self
            .workers
            .iter_mut()
            .find(|worker| worker.pid.is_none() && worker.generation == generation && worker.cell == cell)?;
        worker.pid = Some(pid);
        let again = !self.known.insert((worker.generation, worker.id));
        Some((worker, again, early, death))
    }

    /// Keeps a notice whose sender is not known yet.
    pub fn keep_early(&mut self, pid: Pid, notice: Notice, now: u64) {
        if self.early.len() < UNCLAIMED {
            self.early.insert(pid, (now, notice));
        }
    }

    /// Takes out those who spoke before `before` and whose pid nobody told since: whoever was to
    /// tell was killed.
    pub fn take_strangers(&mut self, before: u64) -> Vec<Pid> {
        let strangers: Vec<Pid> =
            self.early.iter().filter(|(_, (said, _))| *said < before).map(|(pid, _)| *pid).collect();
        self.early.retain(|_, (said, _)| *said >= before);
        strangers
    }

    /// Keeps the death of a process that may turn out to be a worker's: where one was asked for and
    /// its pid is not told yet. No other is kept, because pids are used again.
    pub fn keep_unclaimed(&mut self, pid: Pid, status: WaitStatus) {
        self.early.remove(&pid);
        if self.workers.iter().all(|worker| worker.pid.is_some()) {
            self.unclaimed.clear();
            return;
        }
        if self.unclaimed.len() >= UNCLAIMED {
            self.unclaimed.remove(0);
        }
        self.unclaimed.push((pid, status));
    }

    /// The worker of this pid.
    pub fn by_pid(&mut self, pid: Pid) -> Option<&mut Worker> {
        self.workers.iter_mut().find(|worker| worker.pid == Some(pid))
    }

    /// Takes a dead worker out.
    pub fn remove(&mut self, pid: Pid) -> Option<Worker> {
        let at = self.workers.iter().position(|worker| worker.pid == Some(pid))?;
        Some(self.workers.swap_remove(at))
    }

    /// Takes out a worker that was asked for and never forked.
    pub fn remove_asked(&mut self, generation: u64, cell: usize) -> Option<Worker> {
        let at = self
            .workers
            .iter()
            .position(|worker| worker.pid.is_none() && worker.generation == generation && worker.cell == cell)?;
        Some(self.workers.swap_remove(at))
    }

    /// Takes out every worker that a generation's zygote was asked for and can't fork any more.
    pub fn remove_all_asked(&mut self, generation: u64) -> Vec<Worker> {
        let (lost, kept) =
            self.workers.drain(..).partition(|worker| worker.generation == generation && worker.pid.is_none());
        self.workers = kept;
        lost
    }

    /// All workers.
    pub fn iter(&self) -> impl Iterator<Item = &Worker> {
        self.workers.iter()
    }

    /// All workers, to be changed.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Worker> {
        self.workers.iter_mut()
    }

    /// Whether there is none to wait for.
    pub fn is_empty(&self) -> bool {
        self.workers.iter().all(|worker| worker.state == State::Undead)
    }

    /// Whether each of these numbers has a worker of the generation that serves.
    pub fn all_serve(&self, generation: u64, mut ids: impl Iterator<Item = usize>) -> bool {
        ids.all(|id| {
            let serves = |worker: &Worker| worker.id == id && worker.state == State::Serving;
            self.iter().any(|worker| worker.generation == generation && serves(worker))
        })
    }

    /// Whether worker `id` of a generation is there to stay, or coming.
    pub fn has(&self, generation: u64, id: usize) -> bool {
        self.iter().any(|worker| {
            worker.generation == generation
                && worker.id == id
                && !worker.recycling
                && matches!(worker.state, State::Starting | State::Serving)
        })
    }

    /// Whether a worker `id` of a generation serves that is to be replaced.
    pub fn recycles(&self, generation: u64, id: usize) -> bool {
        self.iter().any(|worker| {
            worker.generation == generation && worker.id == id && worker.recycling && worker.state == State::Serving
        })
    }

    /// The pids of a generation's workers that do not serve yet.
    pub fn starting(&self, generation: u64) -> impl Iterator<Item = Pid> {
        let starting = move |worker: &&Worker| worker.generation == generation && worker.state == State::Starting;
        self.iter().filter(starting).filter_map(|worker| worker.pid)
    }

    /// Forgets whom a generation had that is gone.
    pub fn forget(&mut self, generation: u64) {
        self.known.retain(|(number, _)| *number != generation);
    }

    /// Notes a death; returns how many of this number have died young in a row.
    pub fn died_young(&mut self, id: usize, young: bool) -> u32 {
        let deaths = self.quick_deaths.entry(id).or_default();
        *deaths = if young { deaths.saturating_add(1) } else { 0 };
        *deaths
    }
}

/// A worker's death in words.
pub fn cause(status: WaitStatus) -> String {
    match status {
        WaitStatus::Signaled(_, signal, _) => format!("was killed by signal {}", signal as i32),
        WaitStatus::Exited(_, code) => format!("exited with code {code}"),
        other => format!("{other:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pids_and_deaths_meet_in_any_order() {
        let mut children = Children::default();
        let pid = Pid::from_raw(77);
        children.asked(1, 1, 0, 0);
        children.keep_unclaimed(pid, WaitStatus::Exited(pid, 3));
        let (worker, again, early, death) = children.forked(1, 0, pid).unwrap();
        assert_eq!((worker.id, again, early.is_none(), death), (1, false, true, Some(WaitStatus::Exited(pid, 3))));
        assert!(children.forked(1, 0, pid).is_none());
        assert_eq!(children.remove(pid).unwrap().id, 1);
        assert!(children.is_empty());
    }

    #[test]
    fn young_deaths_are_counted_until_one_grows_old() {
        let mut children = Children::default();
        let deaths = [(1, true), (1, true), (2, true), (1, false), (1, true)];
        assert_eq!(deaths.map(|(id, young)| children.died_young(id, young)), [1, 2, 1, 0, 1]);
    }

    #[test]
    fn a_death_that_nobody_can_claim_is_forgotten() {
        let mut children = Children::default();
        let pid = Pid::from_raw(77);
        children.keep_unclaimed(pid, WaitStatus::Exited(pid, 0));
        children.asked(1, 1, 0, 0);
        assert!(children.forked(1, 0, pid).unwrap().3.is_none(), "the pid was used again");
    }

    #[test]
    fn who_speaks_and_is_never_told_of_is_a_stranger() {
        let mut children = Children::default();
        let pid = Pid::from_raw(77);
        children.keep_early(pid, Notice::Ready { cell: 0, pid: 77 }, 5);
        assert_eq!(children.take_strangers(5), []);
        assert_eq!(children.take_strangers(6), [pid]);
        assert_eq!(children.take_strangers(6), []);
    }

    #[test]
    fn a_worker_that_is_recycled_leaves_room_for_one() {
        let mut children = Children::default();
        children.asked(1, 1, 0, 0);
        assert!(children.has(1, 1) && !children.recycles(1, 1));
        children.iter_mut().for_each(|worker| (worker.state, worker.recycling) = (State::Serving, true));
        assert!(!children.has(1, 1) && children.recycles(1, 1));
        assert!(!children.is_settled());
        children.asked(1, 1, 1, 0);
        assert!(children.has(1, 1));
    }

    #[test]
    fn the_table_survives_the_way_to_another_program() {
        let mut children = Children::default();
        children.asked(2, 1, 5, 7);
        children.forked(1, 5, Pid::from_raw(77)).unwrap();
        assert!(children.is_settled());
        let text = serde_json::to_string(&children.standing()).unwrap();
        let adopted = Children::adopt(serde_json::from_str(&text).unwrap());
        assert_eq!(format!("{adopted:?}"), format!("{children:?}"));
    }

    #[test]
    fn unknown_deaths_are_bounded() {
        let mut children = Children::default();
        children.asked(1, 1, 0, 0);
        for pid in 1..1000 {
            children.keep_unclaimed(Pid::from_raw(pid), WaitStatus::StillAlive);
        }
        assert_eq!(children.unclaimed.len(), UNCLAIMED);
    }
}
