//! A request that a static file answers, served by the core itself and without the GIL.
//!
//! The part of a core's loop that `serve` turns to before the app. What a client does not take at
//! once goes to `offload`.

use std::sync::PoisonError;

use super::{CoreLoop, Stage};
use crate::net::exchange::{Exchange, WriteError};
use crate::python::Served;
use crate::static_files::Answer;

impl CoreLoop<'_> {
    /// Answers with a file where one is named; otherwise the request is for the app.
    pub(super) fn serve_file(&mut self) -> Stage {
        let Some(answer) = self.worker.files.as_ref().and_then(|files| files.find(&self.request)) else {
            return Stage::App;
        };
        let mut exchange = self.exchange.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = send(&mut exchange, answer)
            && !self.worker.requests.ignore_write_errors
        {
            tracing::info!("{error} while a static file was sent");
        }
        let status = exchange.head().code();
        drop(exchange);
        // uWSGI: no app has served it.
        Stage::Served(Served { status, exception: false, reload: false, app: -1 })
    }
}

fn send(exchange: &mut Exchange, answer: Answer) -> Result<(), WriteError> {
    let head = exchange.head();
    // A name with a line break in it can't be named to the front end: the client gets no such header.
    let _ = head.start(answer.status.as_bytes());
    for (name, value) in &answer.headers {
        let _ = head.header(name.as_bytes(), value.as_bytes());
    }
    match answer.bytes {
        Some((file, start, count)) => exchange.deliver(file, i64::try_from(start).unwrap_or(i64::MAX), count)?,
        None => exchange.announce(0),
    }
    exchange.try_finish()?;
    while exchange.is_pending() {
        exchange.wait_output()?;
        exchange.try_finish()?;
    }
    Ok(())
}
