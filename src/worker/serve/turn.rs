//! A connection's turn: read, parse, and begin a request, park it, refuse it or close it.
//!
//! The part of a core's loop that looks at one connection; `serve` gives turns and knows what is
//! fair. Never blocks, and calls no app.

use std::time::Duration;

use bytes::BytesMut;

use super::{CoreLoop, STREAK, Stage};
use crate::net::listener::Protocol;
use crate::net::stream::Stream;
use crate::proto::refusal::Refusal;
use crate::proto::request::Body;
use crate::proto::request::Front;
use crate::proto::{Parsed, fastcgi, http, proxy, scgi, uwsgi};
use crate::sys::clock;
use crate::worker::connection::{About, Connection, Peer, Phase};
use crate::worker::connections::Parking;
use crate::worker::gate::Gate;
use crate::worker::refusals;

/// How long a worker that finishes waits for a request that may be on its way on a connection it
/// wants to close.
const GRACE: Duration = Duration::from_millis(500);
/// How long a client may take to close after its last response.
const DRAIN: Duration = Duration::from_secs(2);
/// Bytes read and dropped from such a client.
const DRAIN_BYTES: u64 = 64 << 20;

impl CoreLoop<'_> {
    /// Reads from a connection until its request is complete or it has to wait.
    pub(super) fn turn(&mut self, connection: Connection) {
        let Connection { stream, mut about, held, mut phase, mut deadline } = connection;
        self.inbox.refill(&held);
        drop(held);
        let mut fresh = self.inbox.held().len();
        loop {
            if let Phase::Drain(left) = &mut phase {
                *left = left.saturating_sub(fresh as u64);
                if *left == 0 {
                    return self.close(stream, about);
                }
                self.inbox.refill(b"");
            } else if fresh > 0 {
                match self.parse(&mut about, fresh) {
                    Ok(Parsed::Complete(_)) if self.request.modifier1 == uwsgi::PING => {
                        // Four bytes into an empty send buffer: it fails only with the connection.
                        let _ = stream.write(&uwsgi::PONG, b"");
                        return self.drain(stream, about);
                    }
                    Ok(Parsed::Complete(size)) => {
                        let ahead = self.inbox.copy_from(size);
                        // The exchange reads the rest of a body itself, and may leave something.
                        about.drained &= matches!(self.request.body, Body::Length(n) if n <= ahead.len() as u64);
                        self.about = Some(about);
                        self.stage = Stage::Complete(stream, ahead);
                        return;
                    }
                    Ok(Parsed::More) if phase == Phase::Idle => (phase, deadline) = (Phase::Head, 0),
                    Ok(Parsed::More) => {}
                    Err(refusal) => return self.refuse(stream, about, &refusal),
                }
            }
            let room = self.inbox.room();
            let (size, read) = (room.len(), stream.read(room));
            match read {
                // A peer that left in the middle may still read why nothing came of it; three bytes are
                // what probes of ports send.
                Ok(Some(0)) if phase == Phase::Head && self.inbox.held().len() > 3 => {
                    return self.refuse(stream, about, &Refusal::Incomplete(self.inbox.held().len()));
                }
                Ok(Some(0)) | Err(_) => return self.close(stream, about),
                Ok(Some(count)) => {
                    about.drained = count < size && !about.ended;
                    self.inbox.add(count);
                    fresh = count;
                }
                Ok(None) => {
                    about.drained = true;
                    let held = self.inbox.copy_from(0);
                    return self.park(Connection { stream, about, held, phase, deadline });
                }
            }
        }
    }

    /// Parses what the inbox holds, the last `fresh` bytes of it for the first time.
    fn parse(&mut self, about: &mut About, mut fresh: usize) -> Result<Parsed, Refusal> {
        let gate = &self.worker.gates[about.listener];
        if about.proxy_header {
            match proxy::parse(self.inbox.held())? {
                proxy::Header::More => return Ok(Parsed::More),
                proxy::Header::Complete { size, source } => {
                    self.inbox.drop_first(size);
                    fresh = self.inbox.held().len();
                    about.proxy_header = false;
                    if let Some(source) = source {
                        about.peer = Some(Box::new(Peer::new(source)));
                    }
                }
            }
        }
        let held = self.inbox.held();
        let limit = self.worker.buffer_size;
        let parsed = match gate.protocol() {
            Protocol::Uwsgi => uwsgi::parse(held, limit, &mut self.request)?,
            // Only the end of a line can complete a head: one that comes byte by byte is not
            // parsed from its start for each of them.
            Protocol::Scgi | Protocol::ScgiNph => {
                let parsed = scgi::parse(held, limit, &mut self.request)?;
                if gate.protocol() == Protocol::ScgiNph {
                    self.request.front = Front::Uwsgi;
                }
                parsed
            }
            Protocol::Fastcgi => fastcgi::parse(held, limit, &mut self.request)?,
            Protocol::Http | Protocol::HttpRouter
                if fresh < held.len() && held.len() <= limit && !held[held.len() - fresh..].contains(&b'\n') =>
            {
                Parsed::More
            }
            Protocol::Http | Protocol::HttpRouter => {
                let nobody = Peer::default();
                let peer = about.peer.as_deref().unwrap_or(&nobody);
                let place = http::Place {
                    server_name: &self.worker.host,
                    server_port: &gate.port,
                    remote_addr: &peer.address,
                    remote_port: &peer.port,
                    https: false,
                };
                let parsed = http::parse(held, limit, &place, &mut self.request)?;
                if parsed != Parsed::More {
                    self.admit(gate)?;
                }
                parsed
            }
        };
        if parsed == Parsed::More && self.inbox.room().is_empty() {
            return Err(Refusal::TooLarge { size: self.inbox.held().len(), limit });
        }
        Ok(parsed)
    }

    /// Looks at a complete HTTP head as the socket's options say.
    fn admit(&mut self, gate: &Gate) -> Result<(), Refusal> {
        for (name, value) in &gate.vars {
            self.request.push(name, value)?;
        }
        match self.request.body {
            Body::Length(size) if self.request.expects_continue && size > gate.most_expected => {
                Err(Refusal::BodyTooLarge { size, limit: gate.most_expected })
            }
            _ => Ok(()),
        }
    }

    /// Puts a connection where it waits for more.
    pub(super) fn park(&mut self, mut connection: Connection) {
        let gate = &self.worker.gates[connection.about.listener];
        let by = |span: Duration| clock::monotonic().saturating_add(u64::try_from(span.as_nanos()).unwrap_or(u64::MAX));
        if connection.deadline == 0 {
            connection.deadline = by(match connection.phase {
                Phase::Head => gate.head,
                Phase::Idle => gate.idle,
                Phase::Drain(_) => DRAIN,
            });
        }
        if self.finishing && connection.phase == Phase::Idle {
            connection.deadline = connection.deadline.min(by(GRACE));
        }
        if !self.set().knows(&connection.about) {
            self.forget(&mut connection.about);
        }
        for _ in 0..STREAK {
            match self.set().park(connection) {
                Parking::Stays => return,
                Parking::Again(again) => return self.queue.push_back(again),
                Parking::Refused(refused) => {
                    connection = refused;
                    let Some(other) = self.set().evict(false) else { break };
                    self.expire(other);
                }
            }
        }
        self.close(connection.stream, connection.about);
    }

    /// Ends a connection that has waited too long, or that has to make room.
    pub(super) fn expire(&mut self, mut connection: Connection) {
        match connection.phase {
            Phase::Head if !connection.held.is_empty() => {
                // Not drained: it had its time, and this may be called while another is parked.
                self.tell(&connection.stream, &connection.about, &Refusal::Timeout);
                connection.stream.shutdown_write();
            }
            Phase::Head | Phase::Idle => {
                // A request may have come in this very moment, with its event still on the way.
                let mut first = [0; 512];
                if let Ok(Some(count @ 1..)) = connection.stream.read(&mut first) {
                    connection.about.drained = false;
                    connection.held.extend_from_slice(&first[..count]);
                    return self.queue.push_back(connection);
                }
            }
            Phase::Drain(_) => {}
        }
        self.close(connection.stream, connection.about);
    }

    /// Answers a request that the app never sees.
    fn refuse(&mut self, stream: Stream, about: About, refusal: &Refusal) {
        self.tell(&stream, &about, refusal);
        self.drain(stream, about);
    }

    fn tell(&self, stream: &Stream, about: &About, refusal: &Refusal) {
        let gate = &self.worker.gates[about.listener];
        let peer = about.peer.as_deref().cloned().unwrap_or_else(|| Peer::at(stream));
        refusals::log(&self.worker.refused, self.worker.id, gate, &peer, refusal);
        // A client that takes no answer of this size is owed none.
        let _ = stream.write(&refusals::answer(gate.protocol(), refusal), b"");
    }

    /// Closes a connection once its client has closed too, so that what it still sends does not
    /// destroy the answer on its way.
    pub(super) fn drain(&mut self, stream: Stream, about: About) {
        stream.shutdown_write();
        let held = BytesMut::new();
        self.queue.push_back(Connection { stream, about, held, phase: Phase::Drain(DRAIN_BYTES), deadline: 0 });
    }

    /// Closes a connection on which more than the request may have come: closing over unread bytes
    /// would reset it.
    pub(super) fn close_or_drain(&mut self, stream: Stream, about: About) {
        self.inbox.refill(b"");
        match stream.read(self.inbox.room()) {
            Ok(Some(1..)) => self.drain(stream, about),
            _ => self.close(stream, about),
        }
    }

    pub(super) fn close(&mut self, stream: Stream, mut about: About) {
        drop(stream);
        self.forget(&mut about);
    }

    pub(super) fn forget(&self, about: &mut About) {
        self.worker.connections(false).forget(about);
        self.worker.connections(true).forget(about);
    }
}
