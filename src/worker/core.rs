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
use super::terms;
use crate::config::Config;
use crate::log::choice::Choice;
use crate::log::clock::{CTIME, Clock};
use crate::log::format::Format;
use crate::log::request::RequestLine;
use crate::log::{self, json};
use crate::proto::request::{Known, Request};
use crate::python::api::{Desk, Extras};
use crate::python::{self, App, Gil, Served};
use crate::scoreboard::{Cell, CoreCell, Ended};
use crate::sys::{clock, memory};

/// Serves on this thread until the worker finishes. Takes the GIL, and returns with it held.
pub fn run(worker: &Worker, app: Option<&App>, gil: &Gil<'_>, number: usize, sharing: Sharing) {
    let record = Record::new(worker, number);
    let mut core = CoreLoop::new(worker, record, sharing.events());
    let mut python = app.map(|app| app.core(gil, number, core.exchange().clone()));
    let desk = Desk::new(gil, number, core.exchange().clone());
    while let ControlFlow::Continue(()) = sharing.next(gil, &mut core) {
        let served = match &mut python {
            Some(python) => {
                desk.begin(core.request());
                let served = python.serve(gil, core.request());
                desk.end(gil);
                served
            }
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
    Served { status: 500, exception: false, reload: false, app: -1 }
}

/// The account of a core's requests.
#[derive(Debug)]
pub struct Record<'w> {
    worker: &'w Worker,
    number: usize,
    /// CLOCK_MONOTONIC nanoseconds at which the request under way began.
    began: u64,
    /// None where no request is logged.
    lines: Option<Lines>,
}

/// What making request lines takes.
#[derive(Debug)]
struct Lines {
    choice: Choice,
    form: Form,
    forwarded_for: bool,
    in_micros: bool,
    with_memory: bool,
    line: Vec<u8>,
}

/// How a request line is written.
#[derive(Debug)]
enum Form {
    Default(Clock),
    Own(Box<Format>),
    Json,
}

impl Lines {
    /// As the configuration says; none where no request is logged.
    fn of(config: &Config) -> Option<Self> {
        Choice::of(config).is_any().then(|| Self::new(config))
    }

    fn new(config: &Config) -> Self {
        let logging = &config.logging;
        let form = match &logging.log_format {
            _ if logging.log_json => Form::Json,
            Some(format) => {
                let date = logging.log_date.as_deref().filter(|_| logging.logformat_strftime);
                Form::Own(Box::new(Format::new(format, date)))
            }
            None => Form::Default(Clock::new(CTIME)),
        };
        Self {
            choice: Choice::of(config),
            form,
            forwarded_for: logging.log_x_forwarded_for,
            in_micros: logging.log_micros,
            with_memory: logging.memory_report,
            line: Vec::with_capacity(512),
        }
    }

    fn write(&mut self, mut facts: RequestLine<'_>) {
        if !facts.forced && !self.choice.takes(&facts) {
            return;
        }
        facts.memory = self.with_memory.then(memory::of_this_process);
        self.line.clear();
        match &mut self.form {
            Form::Default(clock) => facts.write_to(&mut self.line, clock),
            Form::Own(format) => format.write_to(&facts, &mut self.line),
            Form::Json => json::write_to(&facts, &mut self.line),
        }
        log::emit(&self.line);
    }
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
    /// Whether the body was a file that the kernel sent.
    pub by_file: bool,
    /// Whether the request's body could not be read to its end.
    pub read_failed: bool,
    /// Whether the response could not be written to its end.
    pub write_failed: bool,
}

impl<'w> Record<'w> {
    /// The account of core `number`. Made after the app was loaded, which may set the time zone.
    pub fn new(worker: &'w Worker, number: usize) -> Self {
        let lines = Lines::of(&worker.config);
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
        core.count(Ended {
            status: served.status,
            micros,
            exception: served.exception,
            read_failed: sent.read_failed,
            write_failed: sent.write_failed,
        });
        let worker_requests = cell.requests.fetch_add(1, Relaxed) + 1;
        let total_requests = worker.board.totals().requests.fetch_add(1, Relaxed) + 1;
        cell.tx.fetch_add(sent.head_bytes as u64 + sent.body_bytes, Relaxed);
        cell.running_micros.fetch_add(micros, Relaxed);
        if served.exception {
            cell.exceptions.fetch_add(1, Relaxed);
        }
        let extras = Extras::take();
        if extras.forced && self.lines.is_none() {
            self.lines = Some(Lines::new(&worker.config));
        }
        if let Some(lines) = &mut self.lines {
            lines.write(RequestLine {
                app_vars: &extras.vars,
                forced: extras.forced,
                pid: worker.pid,
                worker: worker.id,
                app: served.app,
                worker_requests,
                total_requests,
                request,
                started: clock::epoch_micros() - micros as i64,
                micros,
                status: served.status,
                body_bytes: sent.body_bytes,
                head_count: sent.head_count,
                head_bytes: sent.head_bytes,
                core: self.number,
                by_file: sent.by_file,
                read_failed: sent.read_failed,
                write_failed: sent.write_failed,
                memory: None,
                forwarded_for: lines.forwarded_for,
                in_micros: lines.in_micros,
            });
        }
        if worker.reaps {
            terms::reap();
        }
        if served.reload && worker.limits.ask_once() {
            worker.recycle("reload-on-exception");
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
