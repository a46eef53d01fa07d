//! The loop of one core: accept, read, parse; serve (by `core`, between two calls of
//! [`CoreLoop::advance`]); close or keep the connection; all by whoever woke.
//!
//! Run by `sharing`, which decides when the GIL is held. Only [`CoreLoop::block`] blocks. A core
//! tries to accept before it waits for as long as connections keep coming, and waits first after
//! it found none: a request then costs accept, read, write, close, and a wait when idle.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::Duration;

use bytes::BytesMut;

use super::Worker;
use super::connection::{About, Connection, Phase};
use super::connections::{Connections, Ready};
use super::core::{Record, Sent};
use super::gate::Trouble;
use super::inbox::Inbox;
use crate::net::exchange::{End, Exchange};
use crate::net::poll::Events;
use crate::net::stream::Stream;
use crate::proto::request::Request;
use crate::proto::uwsgi;
use crate::python::Served;
use crate::sys::clock;

mod file;
mod turn;

/// Connections accepted in a row before those that are parked get a look.
const STREAK: u32 = 8;
/// Requests served in a row from what one client sent ahead.
const RUN: u32 = 8;
/// A wait shorter than this was none: connections are coming faster than they are served.
const AT_ONCE: u64 = 10_000;
/// How often a finishing worker looks whether its other cores are done.
const FINISHING: Duration = Duration::from_millis(50);

/// What a core has to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Serve [`CoreLoop::request`], then say so with [`CoreLoop::served`].
    Serve,
    /// Call [`CoreLoop::block`] without the GIL.
    Block,
    /// End: the worker finishes and nothing is left to do.
    Done,
}

/// One core between requests.
#[derive(Debug)]
pub struct CoreLoop<'w> {
    worker: &'w Worker,
    request: Request,
    exchange: Arc<Mutex<Exchange>>,
    record: Record<'w>,
    inbox: Inbox,
    stage: Stage,
    /// What is known of the connection a response is under way on.
    about: Option<About>,
    events: Events,
    /// Connections with more to do that must let others go first.
    queue: VecDeque<Connection>,
    looked: bool,
    /// The listener that gave a connection last and may give another.
    hot: Option<usize>,
    eager: bool,
    streak: u32,
    run: u32,
    finishing: bool,
    /// Listeners still to be looked at since the last poke.
    looks: usize,
}

/// Where the core stands.
#[derive(Debug)]
enum Stage {
    Between,
    /// A request is complete and waits for the exchange to be free.
    Complete(Stream, BytesMut),
    Serving,
    /// A file may be what it is for: look without the GIL.
    File,
    /// It is for the app.
    App,
    /// It was served and the exchange has to be ended.
    Served(Served),
    /// Another thread of the app's has the exchange: block until it is free.
    Contended(Box<Stage>),
}

enum Next {
    Connection(Connection),
    /// Look at everything again.
    Again,
    Wait,
    Done,
}

impl<'w> CoreLoop<'w> {
    /// The loop of the core whose account is `record`; it is told of so many events at once.
    pub fn new(worker: &'w Worker, record: Record<'w>, events: usize) -> Self {
        let mut exchange = Exchange::new();
        exchange.head().govern(worker.requests.response_headers_limit, worker.requests.edits());
        if worker.offload.threads() > 0 {
            exchange.leave_files();
        }
        Self {
            worker,
            request: Request::new(),
            exchange: Arc::new(Mutex::new(exchange)),
            record,
            inbox: Inbox::new(worker.buffer_size + uwsgi::HEADER),
            stage: Stage::Between,
            about: None,
            events: Events::new(events),
            queue: VecDeque::new(),
            looked: false,
            hot: None,
            // The first look at a listener finds what came while no worker was there.
            eager: true,
            streak: 0,
            run: 0,
            finishing: false,
            looks: 0,
        }
    }

    /// The exchange that this core answers on.
    pub fn exchange(&self) -> &Arc<Mutex<Exchange>> {
        &self.exchange
    }

    /// The request to serve.
    pub fn request(&self) -> &Request {
        &self.request
    }

    /// Takes note that the request was served.
    pub fn served(&mut self, served: Served) {
        self.stage = Stage::Served(served);
    }

    /// Goes on to the next request, or to where the core must block, without blocking.
    pub fn advance(&mut self) -> Step {
        let mut connection = None;
        loop {
            match std::mem::replace(&mut self.stage, Stage::Between) {
                Stage::Complete(stream, ahead) => {
                    if let Some(step) = self.begin(stream, ahead) {
                        return step;
                    }
                }
                Stage::Served(served) => match self.end(served) {
                    Ok(next) => connection = next,
                    Err(step) => return step,
                },
                Stage::Contended(stage) => {
                    self.stage = *stage;
                    continue;
                }
                Stage::App => {
                    self.stage = Stage::Serving;
                    return Step::Serve;
                }
                Stage::File => {
                    self.stage = Stage::File;
                    return Step::Block;
                }
                Stage::Serving | Stage::Between => {}
            }
            if self.worker.is_finishing() && !self.finishing {
                self.finish();
            }
            if let Some(connection) = connection.take() {
                self.turn(connection);
                continue;
            }
            match self.next() {
                Next::Connection(connection) => {
                    self.run = 0;
                    self.turn(connection);
                }
                Next::Again => {}
                Next::Wait => return Step::Block,
                Next::Done => return Step::Done,
            }
        }
    }

    /// Blocks until there is something to do.
    pub fn block(&mut self) {
        if matches!(self.stage, Stage::File) {
            self.stage = self.serve_file();
            return;
        }
        if matches!(self.stage, Stage::Contended(_)) {
            drop(self.exchange.lock());
            return;
        }
        let began = clock::monotonic();
        self.look(self.finishing.then_some(FINISHING));
        self.eager = clock::monotonic() - began < AT_ONCE;
        if self.finishing && self.worker.is_time_up(clock::monotonic()) {
            for connection in self.set().clear() {
                self.expire(connection);
            }
        }
    }

    // ---- finding work

    /// The connection to turn to.
    fn next(&mut self) -> Next {
        loop {
            if self.looks > 0 {
                self.looks -= 1;
                if let Some(connection) = self.accept(self.looks) {
                    (self.hot, self.streak) = (Some(self.looks), 1);
                    return Next::Connection(connection);
                }
                continue;
            }
            if let Some(gate) = self.hot
                && self.streak < STREAK
            {
                if let Some(connection) = self.accept(gate) {
                    self.streak += 1;
                    return Next::Connection(connection);
                }
                (self.hot, self.eager) = (None, false);
            }
            if let Some(event) = self.events.next() {
                match self.react(Connections::meaning(event)) {
                    Some(connection) => return Next::Connection(connection),
                    None => continue,
                }
            }
            if !self.queue.is_empty() {
                if !std::mem::replace(&mut self.looked, true) {
                    self.look(Some(Duration::ZERO));
                    continue;
                }
                self.looked = false;
                if let Some(connection) = self.queue.pop_front() {
                    return Next::Connection(connection);
                }
            }
            if self.worker.is_finishing() != self.finishing {
                return Next::Again;
            }
            if self.hot.is_some() {
                self.streak = 0;
                if self.set().parked() > 0 || self.worker.gates.len() > 1 {
                    self.look(Some(Duration::ZERO));
                }
                continue;
            }
            return if self.finishing && self.set().parked() == 0 { Next::Done } else { Next::Wait };
        }
    }

    /// Acts on one event.
    fn react(&mut self, ready: Ready) -> Option<Connection> {
        match ready {
            Ready::Listener(_) if self.finishing => None,
            Ready::Listener(gate) => {
                let connection = self.accept(gate)?;
                self.hot = self.eager.then_some(gate);
                self.streak = 1;
                Some(connection)
            }
            Ready::Connection { key, hang_up } => {
                let mut connection = self.set().take(key)?;
                connection.about.ended |= hang_up;
                Some(connection)
            }
            Ready::Deadline => {
                self.worker.resume();
                while let Some(connection) = self.set().expired(clock::monotonic()) {
                    self.expire(connection);
                }
                None
            }
            // It set a flag, which is looked at before the next wait.
            Ready::Signal => None,
            Ready::Poke => {
                if !self.worker.pokes.take().is_empty() {
                    self.worker.follow_log();
                    self.worker.obey_pause();
                    self.looks = self.worker.gates.len();
                }
                None
            }
        }
    }

    fn accept(&mut self, gate: usize) -> Option<Connection> {
        if self.worker.is_told_to_pause() {
            self.worker.obey_pause();
            return None;
        }
        match self.worker.gates[gate].accept() {
            Ok((stream, peer)) => Some(Connection {
                stream,
                about: About::new(gate, peer, self.worker.gates[gate].has_proxy_header),
                held: BytesMut::new(),
                phase: Phase::Head,
                deadline: 0,
            }),
            Err(Trouble::Empty) => None,
            Err(Trouble::Exhausted(error)) => {
                self.worker.pause(&error);
                // Connections that say nothing are worth less than new ones.
                for _ in 0..STREAK {
                    let Some(connection) = self.set().evict(true) else { break };
                    self.expire(connection);
                }
                None
            }
            Err(Trouble::Lost(error)) => {
                self.worker.lose(gate, &error);
                None
            }
        }
    }

    fn look(&mut self, timeout: Option<Duration>) {
        let worker = self.worker;
        if let Err(error) = worker.connections(self.finishing).wait(&mut self.events, timeout) {
            worker.fail(&format!("waiting for requests failed: {error}"));
        }
    }

    fn set(&self) -> &'w Connections {
        self.worker.connections(self.finishing)
    }

    // ---- the exchange

    /// Begins the exchange for the request that is complete.
    fn begin(&mut self, stream: Stream, ahead: BytesMut) -> Option<Step> {
        if self.finishing {
            self.request.keep_alive = false;
        }
        let exchange = Arc::clone(&self.exchange);
        let Some(mut exchange) = unlocked(&exchange) else {
            self.stage = Stage::Contended(Box::new(Stage::Complete(stream, ahead)));
            return Some(Step::Block);
        };
        let timeout =
            self.about.as_ref().map_or(self.worker.timeout, |about| self.worker.gates[about.listener].timeout);
        exchange.begin(stream, ahead, &self.request, timeout);
        self.record.begin(&self.request);
        if self.worker.files.as_ref().is_some_and(|files| files.may_have(&self.request)) {
            self.stage = Stage::File;
            return Some(Step::Block);
        }
        self.stage = Stage::Serving;
        Some(Step::Serve)
    }

    /// Ends the exchange, and accounts for the request; hands back a connection to go on with.
    fn end(&mut self, served: Served) -> Result<Option<Connection>, Step> {
        let exchange = Arc::clone(&self.exchange);
        let Some(mut exchange) = unlocked(&exchange) else {
            self.stage = Stage::Contended(Box::new(Stage::Served(served)));
            return Err(Step::Block);
        };
        let end = exchange.end();
        let broken = exchange.is_broken();
        let sent = Sent {
            head_bytes: exchange.head_bytes(),
            head_count: exchange.head().count(),
            body_bytes: exchange.body_bytes(),
            by_file: exchange.by_file(),
            read_failed: exchange.body_fault().is_some(),
            write_failed: broken,
        };
        drop(exchange);
        let mut next = None;
        match (end, self.about.take()) {
            (Some(End::Close(stream)), Some(about)) if broken || about.drained => self.close(stream, about),
            (Some(End::Close(stream)), Some(about)) => self.close_or_drain(stream, about),
            (Some(End::Drain(stream)), Some(about)) => self.drain(stream, about),
            (Some(End::Deliver(delivery)), Some(about)) => self.worker.offload.take(self.worker, delivery, about),
            (Some(End::KeepAlive(stream, ahead)), Some(about)) => {
                let (ahead_none, drained) = (ahead.is_empty(), about.drained);
                let connection = Connection { stream, about, held: ahead, phase: Phase::Idle, deadline: 0 };
                if ahead_none && drained && !self.worker.is_finishing() {
                    self.park(connection);
                } else if self.run < RUN {
                    self.run += 1;
                    next = Some(connection);
                } else {
                    self.queue.push_back(connection);
                }
            }
            (None, Some(mut about)) => self.forget(&mut about),
            (_, None) => {}
        }
        self.record.end(&self.request, &served, sent);
        Ok(next)
    }

    // ---- finishing

    /// Goes over to finishing: no new connections, but each one that was here gets its chance.
    fn finish(&mut self) {
        self.finishing = true;
        (self.hot, self.streak) = (None, 0);
        // What these said is true of the other set too, where it is said again. A connection that woke
        // this worker alone is left in the listen queue: the master is told, and has others look.
        self.events.clear();
        self.looks = 0;
        let latest = self.worker.stop_listening();
        for mut connection in self.worker.connections(false).clear() {
            if connection.deadline > latest {
                connection.deadline = latest;
            }
            self.queue.push_back(connection);
        }
    }
}

/// The exchange, unless another thread has it. With the GIL held nobody may wait for it: the other
/// may be waiting for the client.
fn unlocked(exchange: &Mutex<Exchange>) -> Option<MutexGuard<'_, Exchange>> {
    match exchange.try_lock() {
        Ok(exchange) => Some(exchange),
        Err(TryLockError::Poisoned(poisoned)) => Some(PoisonError::into_inner(poisoned)),
        Err(TryLockError::WouldBlock) => None,
    }
}
