//! Keeps C connections busy from one thread and one epoll instance.
//!
//! Called by `main` with a plan and prebuilt requests; gives back a tally. On the fast path it makes no
//! allocation and six syscalls a request (socket, connect, write, epoll_ctl, read, close, plus a share of an
//! epoll_wait), two on a kept connection: it must be cheaper than any server it loads.

use std::collections::BTreeMap;
use std::io::IoSlice;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::io::Errno;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketAddrUnix, SocketFlags, SocketType};
use rustix::time::Timespec;

use crate::answer::{Answer, Fault};
use crate::histogram::Histogram;
use crate::options::{Plan, Target};
use crate::request::{Protocol, Requests};

/// What a run found.
pub struct Tally {
    /// Good answers.
    pub answered: u64,
    /// Latencies of the good answers.
    pub latencies: Histogram,
    /// Everything that was not a good answer, by kind.
    pub errors: BTreeMap<&'static str, u64>,
    /// Kept connections that the server closed between two requests.
    pub reconnects: u64,
    /// Times the listen queue was full (UNIX sockets say so; TCP hides it).
    pub queue_full: u64,
    /// Connections that waited in vain until the run stopped starting requests.
    pub starved: u64,
    /// First start to last answer.
    pub elapsed: Duration,
}

/// Loads the server as planned. Fails only when the machine refuses (no epoll, no sockets).
pub fn run(plan: &Plan, requests: &Requests) -> Result<Tally, String> {
    let mut driver = Driver::new(plan, requests)?;
    driver
        .drive()
        .map_err(|error| format!("the load stopped: {error}"))?;
    Ok(driver.tally)
}

/// A server that fails this often will not recover in this run.
const ERROR_LIMIT: u64 = 1000;
const READ_SIZE: usize = 256 * 1024;
const RETRY: Duration = Duration::from_millis(1);

struct Driver<'a> {
    plan: &'a Plan,
    requests: &'a Requests,
    address: Address,
    one_shot: bool,
    epoll: OwnedFd,
    slots: Vec<Slot>,
    idle: Vec<usize>,
    retries: Vec<usize>,
    buffer: Vec<u8>,
    started: u64,
    in_flight: usize,
    begin: Instant,
    last_answer: Instant,
    next_due: Instant,
    stopping: bool,
    tally: Tally,
}

enum Address {
    Unix(SocketAddrUnix),
    Tcp(std::net::SocketAddr),
}

/// One connection and the request on it.
struct Slot {
    socket: Option<OwnedFd>,
    answer: Answer,
    began: Instant,
    request: usize,
    sent: usize,
    wants_write: bool,
    reused: bool,
    answered: u64,
}

/// What became of a connection after an event.
enum Step {
    Waiting,
    Finished { keep: bool },
    Resend,
    Failed(&'static str),
}

impl<'a> Driver<'a> {
    fn new(plan: &'a Plan, requests: &'a Requests) -> Result<Self, String> {
        let address = match &plan.target {
            Target::Unix(path) => Address::Unix(
                SocketAddrUnix::new(path.as_path())
                    .map_err(|error| format!("`{}`: {error}", path.display()))?,
            ),
            Target::Tcp(address) => Address::Tcp(*address),
        };
        let now = Instant::now();
        let slot = || Slot {
            socket: None,
            answer: Answer::new(),
            began: now,
            request: 0,
            sent: 0,
            wants_write: false,
            reused: false,
            answered: 0,
        };
        Ok(Self {
            plan,
            requests,
            address,
            one_shot: plan.wish.protocol != Protocol::Http { keep_alive: true },
            epoll: epoll::create(epoll::CreateFlags::CLOEXEC)
                .map_err(|error| format!("epoll: {error}"))?,
            slots: (0..plan.connections).map(|_| slot()).collect(),
            idle: (0..plan.connections).rev().collect(),
            retries: Vec::new(),
            buffer: vec![0; READ_SIZE],
            started: 0,
            in_flight: 0,
            begin: now,
            last_answer: now,
            next_due: now,
            stopping: false,
            tally: Tally {
                answered: 0,
                latencies: Histogram::new(),
                errors: BTreeMap::new(),
                reconnects: 0,
                queue_full: 0,
                starved: 0,
                elapsed: Duration::ZERO,
            },
        })
    }

    fn drive(&mut self) -> Result<(), Errno> {
        let mut events = Vec::with_capacity(self.plan.connections.clamp(16, 1024));
        loop {
            let now = Instant::now();
            self.check_bounds(now);
            if self.stopping && self.in_flight == 0 {
                break;
            }
            if now.duration_since(self.last_answer) > self.plan.timeout {
                self.tally.errors.insert("timeout", self.in_flight as u64);
                break;
            }
            for slot in std::mem::take(&mut self.retries) {
                self.connect_and_send(slot);
            }
            self.start_due(now);
            events.clear();
            match epoll::wait(
                &self.epoll,
                rustix::buffer::spare_capacity(&mut events),
                Some(&self.patience(now)),
            ) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(error),
            }
            for event in &events {
                let (data, flags) = (event.data, event.flags);
                self.on_event(data.u64() as usize, flags);
            }
        }
        self.tally.elapsed = self.last_answer.duration_since(self.begin);
        Ok(())
    }

    fn check_bounds(&mut self, now: Instant) {
        let enough = self
            .plan
            .requests
            .is_some_and(|requests| self.started >= requests)
            || self
                .plan
                .length
                .is_some_and(|length| now.duration_since(self.begin) >= length)
            || self.error_count() >= ERROR_LIMIT;
        if !enough || self.stopping {
            return;
        }
        self.stopping = true;
        let busy = self.tally.answered >= 10 * self.slots.len() as u64;
        for slot in &self.slots {
            if busy && slot.answered == 0 && slot.socket.is_some() {
                self.tally.starved += 1;
            }
        }
        // A server that gives a core to each kept connection goes on to the next one only when this one goes.
        for &slot in &self.idle {
            self.slots[slot].socket = None;
        }
    }

    /// Starts every request whose time has come; in the closed loop that is one on each idle connection.
    fn start_due(&mut self, now: Instant) {
        // As many as are idle now, and no more: a server that refuses gives connections back at once.
        for _ in 0..self.idle.len() {
            if self.stopping
                || self
                    .plan
                    .requests
                    .is_some_and(|requests| self.started >= requests)
            {
                return;
            }
            let due = match self.plan.interval {
                None => now,
                Some(_) if self.next_due > now => return,
                Some(interval) => {
                    let due = self.next_due;
                    self.next_due += interval;
                    due
                }
            };
            if let Some(slot) = self.idle.pop() {
                self.start(slot, due);
            }
            if self
                .plan
                .requests
                .is_some_and(|requests| self.started >= requests)
            {
                return;
            }
        }
    }

    fn patience(&self, now: Instant) -> Timespec {
        let mut wait = Duration::from_millis(100);
        if !self.retries.is_empty() {
            wait = RETRY;
        } else if self.plan.interval.is_some() && !self.idle.is_empty() && !self.stopping {
            wait = wait.min(self.next_due.saturating_duration_since(now));
        }
        Timespec {
            tv_sec: 0,
            tv_nsec: i64::from(wait.subsec_nanos()),
        }
    }

    fn start(&mut self, index: usize, due: Instant) {
        let slot = &mut self.slots[index];
        slot.began = due;
        slot.request = self.started as usize;
        slot.reused = slot.socket.is_some();
        self.started += 1;
        self.in_flight += 1;
        self.connect_and_send(index);
    }

    fn connect_and_send(&mut self, index: usize) {
        let slot = &mut self.slots[index];
        slot.sent = 0;
        slot.answer.reset();
        let fresh = slot.socket.is_none();
        if fresh {
            match self.address.connect() {
                Ok(socket) => slot.socket = Some(socket),
                Err(Errno::AGAIN) => {
                    self.tally.queue_full += 1;
                    self.retries.push(index);
                    return;
                }
                Err(Errno::CONNREFUSED | Errno::NOENT) => return self.fail(index, "refused"),
                Err(_) => return self.fail(index, "connect"),
            }
        }
        let sent = slot.send(self.requests);
        let step = match sent {
            Ok(whole) => slot.watch(&self.epoll, index, fresh, !whole),
            Err(_) if slot.reused => Ok(Step::Resend),
            Err(_) => Ok(Step::Failed("send")),
        };
        self.after(index, step.unwrap_or(Step::Failed("epoll")));
    }

    fn on_event(&mut self, index: usize, flags: EventFlags) {
        let slot = &mut self.slots[index];
        if slot.socket.is_none() {
            return;
        }
        let mut step = Step::Waiting;
        if slot.wants_write {
            match slot.send(self.requests) {
                Ok(false) => {}
                Ok(true) => {
                    step = slot
                        .watch(&self.epoll, index, false, false)
                        .unwrap_or(Step::Failed("epoll"))
                }
                // The server may have answered without reading the rest: the answer decides.
                Err(_) => slot.wants_write = false,
            }
        }
        if matches!(step, Step::Waiting) {
            step = self.read(index, flags);
        }
        self.after(index, step);
    }

    fn read(&mut self, index: usize, flags: EventFlags) -> Step {
        let slot = &mut self.slots[index];
        loop {
            let Some(socket) = &slot.socket else {
                return Step::Waiting;
            };
            let count = match rustix::net::recv(socket, &mut self.buffer[..], RecvFlags::empty()) {
                Ok((count, _)) => count,
                Err(Errno::AGAIN) => return Step::Waiting,
                Err(Errno::INTR) => continue,
                Err(_) if slot.reused && slot.answer.is_untouched() => return Step::Resend,
                Err(_) => return Step::Failed("reset"),
            };
            let at_end = count == 0;
            if at_end && slot.reused && slot.answer.is_untouched() {
                return Step::Resend;
            }
            let fed = if at_end {
                Ok(false)
            } else {
                slot.answer.feed(&self.buffer[..count], &self.plan.expected)
            };
            match fed {
                Err(fault) => return Step::Failed(fault.name()),
                Ok(true) if !self.one_shot => {
                    return Step::Finished {
                        keep: !slot.answer.closes(),
                    };
                }
                Ok(_) => {}
            }
            // A short read after the peer's end was announced has emptied the queue: no second read to see the 0.
            if at_end || (flags.contains(EventFlags::RDHUP) && count < READ_SIZE) {
                return match slot.answer.end(&self.plan.expected) {
                    Ok(()) => Step::Finished { keep: false },
                    Err(Fault::Short) if at_end => Step::Failed(Fault::Short.name()),
                    Err(Fault::Short) => continue,
                    Err(fault) => Step::Failed(fault.name()),
                };
            }
            if count < READ_SIZE {
                return Step::Waiting;
            }
        }
    }

    fn after(&mut self, index: usize, step: Step) {
        match step {
            Step::Waiting => {}
            Step::Resend => {
                self.tally.reconnects += 1;
                let slot = &mut self.slots[index];
                slot.socket = None;
                slot.reused = false;
                self.connect_and_send(index);
            }
            Step::Failed(kind) => self.fail(index, kind),
            Step::Finished { keep } => self.finish(index, keep),
        }
    }

    fn fail(&mut self, index: usize, kind: &'static str) {
        *self.tally.errors.entry(kind).or_default() += 1;
        self.slots[index].socket = None;
        self.release(index);
    }

    fn finish(&mut self, index: usize, keep: bool) {
        let now = Instant::now();
        let slot = &mut self.slots[index];
        self.tally.answered += 1;
        self.tally
            .latencies
            .record(now.saturating_duration_since(slot.began));
        slot.answered += 1;
        self.last_answer = now;
        if !keep || self.stopping {
            slot.socket = None;
        }
        self.release(index);
    }

    fn release(&mut self, index: usize) {
        self.in_flight -= 1;
        self.idle.push(index);
    }

    fn error_count(&self) -> u64 {
        self.tally.errors.values().sum()
    }
}

impl Address {
    fn connect(&self) -> Result<OwnedFd, Errno> {
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let (family, outcome, socket);
        match self {
            Self::Unix(address) => {
                socket =
                    rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
                outcome = rustix::net::connect(&socket, address);
            }
            Self::Tcp(address) => {
                family = if address.is_ipv4() {
                    AddressFamily::INET
                } else {
                    AddressFamily::INET6
                };
                socket = rustix::net::socket_with(family, SocketType::STREAM, flags, None)?;
                outcome = rustix::net::connect(&socket, address);
            }
        }
        match outcome {
            // Over loopback the handshake is over when connect returns, though it says EINPROGRESS.
            Ok(()) | Err(Errno::INPROGRESS) => Ok(socket),
            Err(error) => Err(error),
        }
    }
}

impl Slot {
    /// Sends what is left; true when nothing is.
    fn send(&mut self, requests: &Requests) -> Result<bool, Errno> {
        let (head, body) = (requests.head(self.request), requests.body());
        let Some(socket) = &self.socket else {
            return Ok(true);
        };
        while self.sent < head.len() + body.len() {
            let outcome = if body.is_empty() {
                rustix::net::send(socket, &head[self.sent..], SendFlags::NOSIGNAL)
            } else if self.sent < head.len() {
                rustix::io::writev(
                    socket,
                    &[IoSlice::new(&head[self.sent..]), IoSlice::new(body)],
                )
            } else {
                rustix::net::send(socket, &body[self.sent - head.len()..], SendFlags::NOSIGNAL)
            };
            match outcome {
                Ok(count) => self.sent += count,
                Err(Errno::AGAIN) => return Ok(false),
                Err(Errno::INTR) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    /// Tells epoll what to wait for; a kept connection that only reads is known already.
    fn watch(
        &mut self,
        epoll: &OwnedFd,
        index: usize,
        fresh: bool,
        write: bool,
    ) -> Result<Step, Errno> {
        let mut flags = EventFlags::IN | EventFlags::RDHUP | EventFlags::ET;
        if write {
            flags |= EventFlags::OUT;
        }
        if let Some(socket) = &self.socket {
            if fresh {
                epoll::add(epoll, socket, EventData::new_u64(index as u64), flags)?;
            } else if write != self.wants_write {
                epoll::modify(epoll, socket, EventData::new_u64(index as u64), flags)?;
            }
        }
        self.wants_write = write;
        Ok(Step::Waiting)
    }
}
