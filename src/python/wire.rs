//! The exchange as Python code reaches it: locked for moments with the GIL, for waits without.
//!
//! `wsgi`, `input` and `output` read and write through this. The one rule that keeps threads from
//! waiting for each other for ever: nobody waits for the GIL while holding the exchange, and
//! nobody waits for the exchange while holding the GIL.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};

use pyo3::Python;

use crate::net::exchange::{Exchange, WriteError};

/// Chunks from this size on are written and read without the GIL: the copy into the kernel is
/// then longer than handing the GIL to another thread and getting it back.
pub(super) const LARGE: usize = 64 * 1024;

/// A core's exchange, shared with the objects the app gets.
#[derive(Clone)]
pub(super) struct Wire {
    exchange: Arc<Mutex<Exchange>>,
}

impl Wire {
    pub(super) fn new(exchange: Arc<Mutex<Exchange>>) -> Self {
        Self { exchange }
    }

    /// The exchange, for calls that do not block.
    pub(super) fn lock(&self, py: Python<'_>) -> MutexGuard<'_, Exchange> {
        loop {
            match self.exchange.try_lock() {
                Ok(exchange) => return exchange,
                Err(TryLockError::Poisoned(poisoned)) => return poisoned.into_inner(),
                // Another thread of the app reads or writes for this very request.
                Err(TryLockError::WouldBlock) => py.detach(|| drop(self.exchange.lock())),
            }
        }
    }

    /// Calls `f` with the exchange and without the GIL; `f` may block.
    pub(super) fn apart<R: Send>(&self, py: Python<'_>, f: impl FnOnce(&mut Exchange) -> R + Send) -> R {
        py.detach(|| f(&mut self.exchange.lock().unwrap_or_else(PoisonError::into_inner)))
    }

    /// Writes all of `chunk`, the head before it.
    pub(super) fn write(&self, py: Python<'_>, chunk: &[u8]) -> Result<(), WriteError> {
        if chunk.len() >= LARGE {
            return self.apart(py, |exchange| exchange.write(chunk));
        }
        let exchange = self.lock(py);
        self.write_locked(py, exchange, chunk)
    }

    /// Writes all of `chunk` as the whole body, announcing its length where that helps.
    pub(super) fn write_whole(&self, py: Python<'_>, chunk: &[u8]) -> Result<(), WriteError> {
        let mut exchange = self.lock(py);
        exchange.announce(chunk.len() as u64);
        if chunk.len() >= LARGE {
            drop(exchange);
            return self.apart(py, |exchange| exchange.write(chunk));
        }
        self.write_locked(py, exchange, chunk)
    }

    fn write_locked(
        &self,
        py: Python<'_>,
        mut exchange: MutexGuard<'_, Exchange>,
        chunk: &[u8],
    ) -> Result<(), WriteError> {
        let taken = exchange.try_write(chunk)?;
        if taken == chunk.len() && !exchange.is_pending() {
            return Ok(());
        }
        drop(exchange);
        self.apart(py, |exchange| exchange.write(&chunk[taken..]))
    }

    /// Ends the response and waits until all of it has left.
    pub(super) fn finish(&self, py: Python<'_>) -> Result<(), WriteError> {
        let mut exchange = self.lock(py);
        exchange.try_finish()?;
        if exchange.is_broken() || !exchange.is_pending() {
            return Ok(());
        }
        drop(exchange);
        self.apart(py, |exchange| {
            while exchange.is_pending() && !exchange.is_broken() {
                exchange.wait_output()?;
                exchange.try_finish()?;
            }
            Ok(())
        })
    }
}
