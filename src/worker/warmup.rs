//! Requests that a new worker answers to itself before it says that it serves (`warmup`).
//!
//! What an app loads or connects to at its first request then costs no client time, and no old worker
//! goes before. The answers go nowhere; only a bad one is told.

use std::io::{Read, copy, sink};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::BytesMut;

use super::Worker;
use crate::net::exchange::Exchange;
use crate::net::stream::Stream;
use crate::proto::request::Request;
use crate::proto::{Parsed, http};
use crate::python::{App, Gil};

impl Worker {
    /// Answers every request of `warmup`, one after the other.
    pub fn warm_up(&self, gil: &Gil<'_>, app: Option<&App>) {
        let Some(app) = app else { return };
        for target in &self.warmup {
            match self.ask_itself(gil, app, target) {
                Ok(status) if status < 400 => {}
                Ok(status) => tracing::warn!("worker {}: warmup `{target}` was answered with {status}", self.id),
                Err(error) => tracing::warn!("worker {}: warmup `{target}` failed: {error}", self.id),
            }
        }
    }

    fn ask_itself(&self, gil: &Gil<'_>, app: &App, target: &str) -> std::io::Result<u16> {
        let (host, path) = target.find('/').map_or((target, "/"), |slash| target.split_at(slash));
        let host = if host.is_empty() { "localhost" } else { host };
        let head =
            format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: rustwsgi-warmup\r\nConnection: close\r\n\r\n");
        let place = http::Place {
            server_name: &self.host,
            server_port: self.gates.first().map_or("", |gate| gate.port.as_str()),
            remote_addr: "127.0.0.1",
            remote_port: "0",
            https: false,
        };
        let mut request = Request::new();
        let bad = || std::io::Error::new(std::io::ErrorKind::InvalidInput, "it is no path");
        match http::parse(head.as_bytes(), self.buffer_size, &place, &mut request) {
            Ok(Parsed::Complete(size)) if size == head.len() => {}
            _ => return Err(bad()),
        }
        let (ours, theirs) = UnixStream::pair()?;
        ours.set_nonblocking(true)?;
        // It takes whatever comes, so that no answer is too long.
        let reader = std::thread::Builder::new().name("warmup".into()).spawn(move || drain(theirs))?;
        let exchange = Arc::new(Mutex::new(Exchange::new()));
        let lock = || exchange.lock().unwrap_or_else(PoisonError::into_inner);
        lock().begin(Stream::new(OwnedFd::from(ours)), BytesMut::new(), &request, self.timeout);
        let served = app.core(gil, 0, Arc::clone(&exchange)).serve(gil, &request);
        drop(lock().end());
        gil.release(|| drop(reader.join()));
        Ok(served.status)
    }
}

fn drain(mut stream: impl Read) {
    // Whatever ends it, the answer is over.
    let _ = copy(&mut stream, &mut sink());
}
