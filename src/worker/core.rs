//! One core of a worker: its thread's life, and the account of each request it serves.
//!
//! `worker::run` starts one a thread. The loop that finds requests is `serve`; here the app is
//! called and the scoreboard, the counters and the request line are kept.

use std::ops::ControlFlow;
use std::sync::PoisonError;
use std::sync::atomic::Ordering::Relaxed;

use super::Worker;
use super::serve::CoreLoop;
use super::sharing::Sharing;
use crate::log::{self, request::Clock, request::RequestLine};
use crate::proto::request::{Known, Request};
use crate::python::{self, App, Gil, Served};
use crate::scoreboard::{Cell, CoreCell, Ended};
use crate::sys::clock;

/// Serves on this thread until the worker finishes. Takes the GIL, and returns with it held.
pub fn run(worker: &Worker, app: Option<&App>, gil: &Gil<'_>, number: usize, sharing: Sharing) {
    let record = Record::new(worker, number, app.is_some());
    let mut core = CoreLoop::new(worker, record, sharing.events());
    let mut python = app.map(|app| app.core(gil, number, core.exchange().clone()));
    while let ControlFlow::Continue(()) = sharing.next(gil, &mut core) {
        let served = match &mut python {
            Some(python) => python.serve(gil, core.request()),
            None => gil.release(|| without_app(&core)),
        };
        core.served(served);
    }
}

/// A thread that serves, for cores other than the first.
pub fn thread(worker: &Worker, app: Option<&App>, number: usize, sharing: Sharing) {
    python::attach(|gil| run(worker, app, gil, number, sharing));
}

/// The answer where there is no app (uWSGI: without `--need-app`).
fn without_app(core: &CoreLoop<'_>) -> Served {
    let mut exchange = core.exchange().lock().unwrap_or_else(PoisonError::into_inner);
    let head = exchange.head();
    // Nothing in it could be refused, and a client that is gone needs no answer.
    let _ = head.start(b"500 Internal Server Error");
    let _ = head.header(b"Content-Type", b"text/plain");
    let body = b"Internal Server Error";
    exchange.announce(body.len() as u64);
    let _ = exchange.write(body).and_then(|()| exchange.try_finish());
    Served { status: 500, exception: false }
}

/// The account of a core's requests.
#[derive(Debug)]
pub struct Record<'w> {
    worker: &'w Worker,
    number: usize,
    /// CLOCK_MONOTONIC nanoseconds at which the request under way began.
    began: u64,
    /// None with `disable-logging`.
    lines: Option<Lines>,
}

/// What making request lines takes.
#[derive(Debug)]
struct Lines {
    /// The app's number in them (uWSGI counts its apps); -1 without one.
    app: i32,
    clock: Clock,
    line: Vec<u8>,
}

/// What was sent of a response.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    /// Bytes of the head.
    pub head_bytes: usize,
    /// Header fields in it.
    pub head_count: u32,
    /// Bytes of the body.
    pub body_bytes: u64,
}

impl<'w> Record<'w> {
    /// The account of core `number`. Made after the app was loaded, which may set the time zone.
    pub fn new(worker: &'w Worker, number: usize, app: bool) -> Self {
        let lines = worker.logs_requests.then(|| Lines {
            app: if app { 0 } else { -1 },
            clock: Clock::new(),
            line: Vec::with_capacity(512),
        });
        Self { worker, number, began: 0, lines }
    }

    /// Notes that a request begins.
    pub fn begin(&mut self, request: &Request) {
        self.began = clock::monotonic();
        let deadline = match self.worker.harakiri {
            0 => 0,
            nanos => self.began.saturating_add(nanos),
        };
        let text = |which| request.known(which).unwrap_or_default();
        self.core().begin(self.began, deadline, text(Known::RequestMethod), text(Known::RequestUri));
    }

    /// Notes that it is over, logs it, and asks for the worker's replacement where it was the last
    /// one that a limit allows.
    pub fn end(&mut self, request: &Request, served: &Served, sent: Sent) {
        let micros = (clock::monotonic() - self.began) / 1000;
        let (core, cell, worker) = (self.core(), self.cell(), self.worker);
        core.end();
        core.count(Ended { status: served.status, micros, exception: served.exception, ..Ended::default() });
        let worker_requests = cell.requests.fetch_add(1, Relaxed) + 1;
        let total_requests = worker.board.totals().requests.fetch_add(1, Relaxed) + 1;
        cell.tx.fetch_add(sent.head_bytes as u64 + sent.body_bytes, Relaxed);
        cell.running_micros.fetch_add(micros, Relaxed);
        if served.exception {
            cell.exceptions.fetch_add(1, Relaxed);
        }
        if let Some(Lines { app, clock, line }) = &mut self.lines {
            let Sent { head_bytes, head_count, body_bytes } = sent;
            line.clear();
            RequestLine {
                pid: worker.pid,
                app: *app,
                worker_requests,
                total_requests,
                request,
                started_epoch: clock::epoch() - (micros / 1_000_000) as i64,
                micros,
                status: served.status,
                body_bytes,
                head_count,
                head_bytes,
                core: self.number,
            }
            .write_to(line, clock);
            log::emit(line);
        }
        if let Some(reason) = worker.limits.served() {
            worker.recycle(reason);
        }
    }

    fn cell(&self) -> &'w Cell {
        self.worker.board.cell(self.worker.cell)
    }

    fn core(&self) -> &'w CoreCell {
        self.worker.board.core(self.worker.cell, self.number)
    }
}
