//! Signals: handlers that set a flag and write one byte, and nothing else.

use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
use signal_hook::{SigId, flag, low_level};

/// A set of signals watched by this process: each sets its flag and wakes whoever waits on the
/// descriptor.
#[derive(Debug)]
pub struct Watch {
    reader: UnixStream,
    flags: Vec<(Signal, Arc<AtomicBool>)>,
    handlers: Vec<SigId>,
}

impl Watch {
    /// Installs the handlers.
    pub fn new(signals: &[Signal]) -> io::Result<Self> {
        let (reader, writer) = UnixStream::pair()?;
        reader.set_nonblocking(true)?;
        let mut watch = Self { reader, flags: Vec::new(), handlers: Vec::new() };
        for signal in signals {
            let raised = Arc::new(AtomicBool::new(false));
            watch.handlers.push(flag::register(*signal as i32, Arc::clone(&raised))?);
            watch.handlers.push(low_level::pipe::register(*signal as i32, writer.try_clone()?)?);
            watch.flags.push((*signal, raised));
        }
        Ok(watch)
    }

    /// The flag of one signal, for a loop that looks at it without a system call. Reading does not
    /// take it back; [`Watch::take`] does.
    pub fn flag(&self, signal: Signal) -> Option<Arc<AtomicBool>> {
        self.flags.iter().find(|(watched, _)| *watched == signal).map(|(_, raised)| Arc::clone(raised))
    }

    /// The signals that came since the last call, each once however often it came.
    pub fn take(&self) -> Vec<Signal> {
        let mut bytes = [0; 256];
        // The bytes only wake; what they mean stands in the flags. Emptied first: a signal that
        // comes in between is then seen either now or by its byte.
        while matches!((&self.reader).read(&mut bytes), Ok(count) if count > 0) {}
        self.flags
            .iter()
            .filter(|(_, raised)| raised.swap(false, Ordering::AcqRel))
            .map(|(signal, _)| *signal)
            .collect()
    }

    /// Takes this watch's part out of the handlers. The handlers themselves stay installed and do
    /// nothing: a child that inherited them goes on with [`default`] or a watch of its own.
    pub fn release(&self) {
        for id in &self.handlers {
            low_level::unregister(*id);
        }
    }
}

impl AsFd for Watch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.reader.as_fd()
    }
}

/// Gives signals back their default action. Not for a signal that this process will [`Watch`]
/// later: the watching library installs its handler once a process family.
pub fn default(signals: &[Signal]) -> nix::Result<()> {
    signals.iter().try_for_each(|signal| set(*signal, SigHandler::SigDfl))
}

/// Ignores a signal. Programs that an app starts inherit it.
pub fn ignore(signal: Signal) -> nix::Result<()> {
    set(signal, SigHandler::SigIgn)
}

/// Lets every signal through, whatever the process that started this one had blocked.
pub fn unblock_all() -> nix::Result<()> {
    SigSet::empty().thread_set_mask()
}

fn set(signal: Signal, handler: SigHandler) -> nix::Result<()> {
    let action = SigAction::new(handler, SaFlags::empty(), SigSet::empty());
    // SAFETY: the default action and ignoring run no code of ours in the handler.
    unsafe { sigaction(signal, &action) }.map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::signal::raise;

    #[test]
    fn signals_are_taken_once_however_often_they_came() {
        let watch = Watch::new(&[Signal::SIGUSR1, Signal::SIGWINCH]).unwrap();
        assert_eq!(watch.take(), []);
        raise(Signal::SIGUSR1).unwrap();
        raise(Signal::SIGUSR1).unwrap();
        assert_eq!(watch.take(), [Signal::SIGUSR1]);
        assert_eq!(watch.take(), []);
        watch.release();
        raise(Signal::SIGUSR1).unwrap();
        assert_eq!(watch.take(), []);
    }
}
