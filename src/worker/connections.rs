//! Connections that no core works on: heads that are not complete, kept-alive ones between two
//! requests, closed ones that still drain.
//!
//! All cores of a worker share one set. A connection that has something to read is handed to one
//! core, which owns it until it parks it again. Bounded in number and in bytes; deadlines are kept
//! by one timer, so an idle worker sleeps. Reads nothing and answers nothing itself.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};

use super::connection::{About, Connection, Phase};
use crate::net::poll::{Event, Events, Poll};

/// The most connections parked in one worker.
const MOST: usize = 10_000;
/// The most bytes of incomplete heads held in one worker.
const MOST_BYTES: usize = 64 << 20;

/// Keys below this one are listeners, by their index.
const LISTENERS: u64 = 1 << 16;
const SIGNAL: u64 = LISTENERS;
const TIMER: u64 = LISTENERS + 1;
const POKE: u64 = LISTENERS + 2;

/// A parked connection's name in its set; used once only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    index: u32,
    generation: u32,
}

/// What a wait found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ready {
    /// A listener has connections.
    Listener(usize),
    /// A parked connection has something to read, perhaps its end.
    Connection {
        /// Whose.
        key: Key,
        /// The client has closed, or closed its half.
        hang_up: bool,
    },
    /// A deadline has passed: [`Connections::expired`] tells whose.
    Deadline,
    /// A signal has come.
    Signal,
    /// Somebody asks to look at the listeners, whatever the kernel has told.
    Poke,
}

/// What became of a connection that was to be parked.
#[derive(Debug)]
pub enum Parking {
    /// It waits.
    Stays,
    /// More of it has arrived meanwhile: read on.
    Again(Connection),
    /// It can't wait here: the bounds are reached, or the system refused.
    Refused(Connection),
}

/// The set, and what its worker's cores wait on.
#[derive(Debug)]
pub struct Connections {
    poll: Poll,
    timer: TimerFd,
    table: Mutex<Table>,
    parked: AtomicUsize,
    number: u32,
}

#[derive(Debug)]
struct Table {
    slots: Vec<Slot>,
    free: Vec<u32>,
    /// When each slot's deadline has to be looked at: early at worst, never late.
    alarms: BinaryHeap<Reverse<(u64, Key)>>,
    /// A time to wake at that is no connection's.
    reminder: u64,
    /// What the timer is set to; 0 for nothing.
    armed: u64,
    bytes: usize,
    parked: usize,
}

#[derive(Debug)]
struct Slot {
    generation: u32,
    state: State,
    alarm: u64,
}

#[derive(Debug)]
enum State {
    Free,
    /// A core owns the connection; whether something arrived since.
    Out {
        missed: bool,
    },
    Parked(Connection),
}

impl Connections {
    /// An empty set. Sets of one worker have different numbers.
    pub fn new(number: u32) -> io::Result<Self> {
        let poll = Poll::new()?;
        let flags = TimerFlags::TFD_CLOEXEC | TimerFlags::TFD_NONBLOCK;
        let timer = TimerFd::new(ClockId::CLOCK_MONOTONIC, flags)?;
        poll.add_edge(timer.as_fd(), TIMER)?;
        let table = Table {
            slots: Vec::new(),
            free: Vec::new(),
            alarms: BinaryHeap::new(),
            reminder: u64::MAX,
            armed: 0,
            bytes: 0,
            parked: 0,
        };
        Ok(Self { poll, timer, table: Mutex::new(table), parked: AtomicUsize::new(0), number })
    }

    /// Has waits report what comes in on a listener.
    pub fn listen(&self, fd: impl AsFd, listener: usize) -> io::Result<()> {
        self.poll.add_shared(fd, listener as u64)
    }

    /// Has waits report a listener no longer.
    pub fn ignore(&self, fd: impl AsFd) -> io::Result<()> {
        self.poll.remove(fd)
    }

    /// Has every wait end at once for as long as `fd` is readable.
    pub fn watch(&self, fd: impl AsFd) -> io::Result<()> {
        self.poll.add_level(fd, SIGNAL)
    }

    /// Has waits report when `fd`, which asks for a look at the listeners, is readable.
    pub fn watch_pokes(&self, fd: impl AsFd) -> io::Result<()> {
        self.poll.add_level(fd, POKE)
    }

    /// Blocks until something is ready, at most `timeout`; replaces what `events` held.
    pub fn wait(&self, events: &mut Events, timeout: Option<Duration>) -> io::Result<()> {
        self.poll.wait(events, timeout)
    }

    /// What an event means.
    pub fn meaning(event: Event) -> Ready {
        match event.key {
            SIGNAL => Ready::Signal,
            POKE => Ready::Poke,
            TIMER => Ready::Deadline,
            listener if listener < LISTENERS => Ready::Listener(listener as usize),
            key => {
                let key = Key { index: key as u32, generation: (key >> 32) as u32 };
                Ready::Connection { key, hang_up: event.hang_up }
            }
        }
    }

    /// How many connections are parked.
    pub fn parked(&self) -> usize {
        self.parked.load(Relaxed)
    }

    /// Parks a connection until something arrives or its deadline passes.
    pub fn park(&self, mut connection: Connection) -> Parking {
        let mut table = self.table();
        let key = match connection.about.place {
            Some((_, key)) => {
                let State::Out { missed } = &mut table.slots[key.index as usize].state else {
                    return Parking::Refused(connection);
                };
                if std::mem::take(missed) {
                    return Parking::Again(connection);
                }
                key
            }
            None => {
                if table.slots.len() - table.free.len() >= MOST {
                    return Parking::Refused(connection);
                }
                let key = table.admit();
                connection.about.place = Some((self.number, key));
                // What has arrived by now is reported at once, and found as missed or parked.
                if self.poll.add_edge(&connection.stream, key.as_u64()).is_err() {
                    table.release(key);
                    connection.about.place = None;
                    return Parking::Refused(connection);
                }
                key
            }
        };
        if table.bytes + connection.held.len() > MOST_BYTES {
            return Parking::Refused(connection);
        }
        self.alarm(&mut table, key, connection.deadline);
        table.bytes += connection.held.len();
        table.slots[key.index as usize].state = State::Parked(connection);
        table.parked += 1;
        self.parked.store(table.parked, Relaxed);
        Parking::Stays
    }

    /// Hands out the connection that an event named; `None` where a core has it already (which
    /// then finds at parking that more has arrived), or where it is closed.
    pub fn take(&self, key: Key) -> Option<Connection> {
        let mut table = self.table();
        let connection = table.take(key);
        self.parked.store(table.parked, Relaxed);
        connection
    }

    /// Forgets a connection that a core is about to close.
    pub fn forget(&self, about: &mut About) {
        if let Some((number, key)) = about.place
            && number == self.number
        {
            about.place = None;
            self.table().release(key);
        }
    }

    /// Whether this set holds a place for the connection.
    pub fn knows(&self, about: &About) -> bool {
        about.place.is_none_or(|(number, _)| number == self.number)
    }

    /// Hands out a connection whose deadline is not after `now`; sets the timer for the next one
    /// when there is none.
    pub fn expired(&self, now: u64) -> Option<Connection> {
        let mut table = self.table();
        if table.reminder <= now {
            table.reminder = u64::MAX;
        }
        while let Some(&Reverse((alarm, key))) = table.alarms.peek() {
            if alarm > now {
                break;
            }
            table.alarms.pop();
            let slot = &mut table.slots[key.index as usize];
            if slot.generation != key.generation || slot.alarm != alarm {
                continue;
            }
            slot.alarm = u64::MAX;
            match &slot.state {
                State::Parked(connection) if connection.deadline <= now => {
                    let connection = table.take(key);
                    self.parked.store(table.parked, Relaxed);
                    // The timer will not go off for what is left: the caller asks until `None`.
                    return connection;
                }
                State::Parked(connection) => {
                    let deadline = connection.deadline;
                    slot.alarm = deadline;
                    table.alarms.push(Reverse((deadline, key)));
                }
                State::Out { .. } | State::Free => {}
            }
        }
        let next = table.alarms.peek().map_or(u64::MAX, |Reverse((alarm, _))| *alarm).min(table.reminder);
        match next {
            u64::MAX => table.armed = 0,
            next => self.arm(&mut table, next),
        }
        None
    }

    /// Hands out the connection whose time is up next, to make room: one that idles between two
    /// requests, if any does; else one that has sent nothing; else, unless `silent_only`, any.
    pub fn evict(&self, silent_only: bool) -> Option<Connection> {
        let mut table = self.table();
        let worth = |connection: &Connection| match connection.phase {
            Phase::Idle => 0,
            Phase::Head if connection.held.is_empty() => 1,
            Phase::Head | Phase::Drain(_) => 2,
        };
        let waiting = table.slots.iter().enumerate().filter_map(|(index, slot)| match &slot.state {
            State::Parked(connection) => {
                let key = Key { index: index as u32, generation: slot.generation };
                Some((worth(connection), connection.deadline, key))
            }
            _ => None,
        });
        let (_, _, key) = waiting.min().filter(|(worth, ..)| *worth < 2 || !silent_only)?;
        let connection = table.take(key);
        self.parked.store(table.parked, Relaxed);
        connection
    }

    /// Has a wait report a deadline at `at`, whatever is parked.
    pub fn remind(&self, at: u64) {
        let mut table = self.table();
        table.reminder = table.reminder.min(at);
        if table.armed == 0 || at < table.armed {
            self.arm(&mut table, at);
        }
    }

    /// Hands out everything that is parked, each without its place in this set.
    pub fn clear(&self) -> Vec<Connection> {
        let mut table = self.table();
        let keys: Vec<Key> = (0..)
            .zip(&table.slots)
            .filter(|(_, slot)| matches!(slot.state, State::Parked(_)))
            .map(|(index, slot)| Key { index, generation: slot.generation })
            .collect();
        let mut all = Vec::with_capacity(keys.len());
        for key in keys {
            if let Some(mut connection) = table.take(key) {
                table.release(key);
                connection.about.place = None;
                all.push(connection);
            }
        }
        self.parked.store(table.parked, Relaxed);
        all
    }

    /// Makes sure that the deadline is looked at in time.
    fn alarm(&self, table: &mut Table, key: Key, deadline: u64) {
        let slot = &mut table.slots[key.index as usize];
        // One that goes off earlier is put off when it does: most deadlines never come.
        if slot.alarm <= deadline {
            return;
        }
        slot.alarm = deadline;
        table.alarms.push(Reverse((deadline, key)));
        if table.armed == 0 || deadline < table.armed {
            self.arm(table, deadline);
        }
    }

    fn arm(&self, table: &mut Table, at: u64) {
        table.armed = at.max(1);
        let at = Expiration::OneShot(TimeSpec::from_duration(Duration::from_nanos(table.armed)));
        // It fails for times that are no times only.
        let _ = self.timer.set(at, TimerSetTimeFlags::TFD_TIMER_ABSTIME);
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn admit(&mut self) -> Key {
        let index = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot { generation: 0, state: State::Free, alarm: u64::MAX });
            self.slots.len() as u32 - 1
        });
        let slot = &mut self.slots[index as usize];
        // Never 0: such keys are the listeners'.
        slot.generation = slot.generation.wrapping_add(1).max(1);
        slot.state = State::Out { missed: false };
        slot.alarm = u64::MAX;
        Key { index, generation: slot.generation }
    }

    fn release(&mut self, key: Key) {
        let slot = &mut self.slots[key.index as usize];
        if slot.generation == key.generation && matches!(slot.state, State::Out { .. }) {
            slot.state = State::Free;
            self.free.push(key.index);
        }
    }

    fn take(&mut self, key: Key) -> Option<Connection> {
        let slot = self.slots.get_mut(key.index as usize).filter(|slot| slot.generation == key.generation)?;
        match std::mem::replace(&mut slot.state, State::Out { missed: false }) {
            State::Parked(connection) => {
                self.bytes -= connection.held.len();
                self.parked -= 1;
                Some(connection)
            }
            State::Out { .. } => {
                slot.state = State::Out { missed: true };
                None
            }
            State::Free => {
                slot.state = State::Free;
                None
            }
        }
    }
}

impl Key {
    fn as_u64(self) -> u64 {
        u64::from(self.generation) << 32 | u64::from(self.index)
    }
}

#[cfg(test)]
mod tests;
