//! The threads that send files to clients that take them slowly (uWSGI: `--offload-threads`).
//!
//! A core hands over what a client did not take at once and turns to the next request; the thread
//! waits for all of its clients together. Started by `worker` where files are served; ends when the
//! cores have, after what it holds has left or the time to finish is up. Calls no app.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::BytesMut;

use super::Worker;
use super::connection::{About, Connection, Phase};
use super::connections::Parking;
use crate::net::exchange::{Delivery, End};
use crate::net::poll::{Events, Poll};
use crate::sys::clock;

/// How often a thread looks for clients that take nothing, and whether the worker has ended.
const LOOK: Duration = Duration::from_millis(250);

/// All that is being sent, shared out among the threads.
#[derive(Debug, Default)]
pub struct Offload {
    lanes: Vec<Lane>,
    next: AtomicUsize,
    /// No more will come.
    closed: AtomicBool,
}

/// What one thread sends.
#[derive(Debug)]
struct Lane {
    poll: Poll,
    held: Mutex<HashMap<u64, Held>>,
    last: AtomicUsize,
}

#[derive(Debug)]
struct Held {
    delivery: Delivery,
    about: About,
    /// CLOCK_MONOTONIC nanoseconds at which the client has taken nothing for too long.
    deadline: u64,
}

impl Offload {
    /// Room for so many threads.
    pub fn new(threads: usize) -> std::io::Result<Self> {
        let lane = |_| Ok(Lane { poll: Poll::new()?, held: Mutex::default(), last: AtomicUsize::new(0) });
        Ok(Self { lanes: (0..threads).map(lane).collect::<std::io::Result<_>>()?, ..Self::default() })
    }

    /// How many threads there are; without any nothing may be handed over.
    pub fn threads(&self) -> usize {
        self.lanes.len()
    }

    /// Takes a response over.
    pub fn take(&self, worker: &Worker, delivery: Delivery, mut about: About) {
        worker.connections(false).forget(&mut about);
        worker.connections(true).forget(&mut about);
        let Some(lane) = self.lanes.get(self.next.fetch_add(1, Relaxed) % self.lanes.len().max(1)) else { return };
        let key = lane.last.fetch_add(1, Relaxed) as u64;
        let deadline = worker.patience();
        let mut held = lane.held();
        // A client that can't be waited for is lost with its response, which shows as a cut one.
        if lane.poll.add_writable(&delivery, key).is_ok() {
            held.insert(key, Held { delivery, about, deadline });
        }
    }

    /// Says that no more will come: the threads end with what they have.
    pub fn close(&self) {
        self.closed.store(true, Relaxed);
    }

    /// One thread: sends until [`Offload::close`] and the end of what it has.
    pub fn run(&self, worker: &Worker, number: usize) {
        let Some(lane) = self.lanes.get(number) else { return };
        let mut events = Events::new(64);
        loop {
            if let Err(error) = lane.poll.wait(&mut events, Some(LOOK)) {
                worker.fail(&format!("waiting for clients failed: {error}"));
            }
            for event in events.by_ref() {
                lane.advance(worker, event.key);
            }
            let now = clock::monotonic();
            lane.held().retain(|_, held| {
                let goes_on = held.deadline > now && !worker.is_time_up(now);
                if !goes_on {
                    held.delivery.abort();
                }
                goes_on
            });
            if self.closed.load(Relaxed) && lane.held().is_empty() {
                return;
            }
        }
    }
}

impl Lane {
    fn held(&self) -> std::sync::MutexGuard<'_, HashMap<u64, Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn advance(&self, worker: &Worker, key: u64) {
        // Out of the table while it is sent: the disk may take its time, and cores add to the table.
        let Some(mut held) = self.held().remove(&key) else { return };
        let before = held.delivery.left();
        match held.delivery.advance() {
            Ok(true) => {
                // A close would take it out as well, but this connection may live on.
                let _ = self.poll.remove(&held.delivery);
                give_back(worker, held.delivery.end(), held.about);
            }
            Ok(false) => {
                if held.delivery.left() < before {
                    held.deadline = worker.patience();
                }
                self.held().insert(key, held);
            }
            // The client is gone; its connection goes with it.
            Err(_) => {}
        }
    }
}

/// Has the cores wait for the connection's next request, or closes it.
fn give_back(worker: &Worker, end: End, about: About) {
    match end {
        End::KeepAlive(stream, _) if !worker.is_finishing() => {
            let set = worker.connections(false);
            // It may be known there from before; anew, it is reported for what has come meanwhile.
            let _ = set.ignore(&stream);
            let deadline = {
                let idle = worker.gates[about.listener].idle;
                clock::monotonic().saturating_add(u64::try_from(idle.as_nanos()).unwrap_or(u64::MAX))
            };
            let about = About { drained: true, ended: false, ..about };
            let connection = Connection { stream, about, held: BytesMut::new(), phase: Phase::Idle, deadline };
            match set.park(connection) {
                Parking::Stays => {}
                Parking::Again(connection) | Parking::Refused(connection) => drop(connection),
            }
        }
        End::KeepAlive(stream, _) | End::Drain(stream) | End::Close(stream) => {
            stream.shutdown_write();
            // Closing over bytes that nobody read would reset the connection and with it the tail.
            while matches!(stream.read(&mut [0; 4096]), Ok(Some(1..))) {}
        }
        End::Deliver(_) => {}
    }
}
