//! What the master waits for: signals, zygotes, workers, the control socket, the clock.
//!
//! A current-thread tokio runtime gathers all of it into one queue. It runs only inside
//! [`Events::next`]: whatever the master then does, forks above all, happens outside of it, and a
//! forked child never touches it.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use nix::sys::signal::Signal;
use serde::de::DeserializeOwned;
use tokio::io::Interest;
use tokio::net::UnixDatagram;
use tokio::net::unix::pipe;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use super::command::Command;
use super::control::{self, Waiter};
use super::stats::server::{self, Terms};
use super::vassal;
use crate::net::listener::Listener;
use crate::stats::Snapshot;
use crate::sys::channel::Channel;
use crate::sys::signal::Watch;
use crate::zygote::link::FromZygote;

/// One thing that happened.
#[derive(Debug)]
pub enum Event {
    /// Signals came.
    Signals(Vec<Signal>),
    /// The zygote of a generation said something, or closed its link.
    Zygote(u64, Option<FromZygote>),
    /// Workers said something, which is still to be read.
    Workers,
    /// Letters came over the FIFO.
    Letters(Vec<u8>),
    /// Somebody asks for something and waits for how it ends.
    Asked(Command, Waiter),
    /// A connection came that nobody may accept yet.
    Knocked,
    /// Somebody wants to know how the instance is.
    Looked(oneshot::Sender<Snapshot>),
    /// The time was up.
    Tick,
}

/// The queue and what fills it.
#[derive(Debug)]
pub struct Events {
    runtime: Runtime,
    queue: mpsc::Receiver<Event>,
    sender: mpsc::Sender<Event>,
}

impl Events {
    /// An empty queue. Made after the last fork into the background.
    pub fn new() -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_io().enable_time().build()?;
        // The bound only limits how far the tasks run ahead of the master.
        let (sender, queue) = mpsc::channel(256);
        Ok(Self { runtime, queue, sender })
    }

    /// Queues the signals that `watch` sees.
    pub fn watch_signals(&self, watch: Arc<Watch>) {
        let sender = self.sender.clone();
        self.runtime.spawn(async move {
            let Ok(ready) = readiness(&*watch) else { return };
            while ready.readable().await.is_ok() {
                let mut signals = Vec::new();
                // All that is there was taken, so the next wait is for what comes from now on.
                let _ = ready.try_io(Interest::READABLE, || -> io::Result<()> {
                    signals = watch.take();
                    Err(io::ErrorKind::WouldBlock.into())
                });
                if !signals.is_empty() && sender.send(Event::Signals(signals)).await.is_err() {
                    return;
                }
            }
        });
    }

    /// Queues what the zygote of `generation` says, its end included; aborting the task ends it.
    pub fn watch_zygote(&self, generation: u64, link: Channel) -> JoinHandle<()> {
        let sender = self.sender.clone();
        self.runtime.spawn(receive(link, move |message| {
            let (sender, event) = (sender.clone(), Event::Zygote(generation, message));
            async move { sender.send(event).await.is_ok() }
        }))
    }

    /// Queues that workers say something. The master reads it by itself, before it acts on a death.
    pub fn watch_workers(&self, seats: Channel) {
        let sender = self.sender.clone();
        self.runtime.spawn(async move {
            let Ok(ready) = readiness(&seats) else { return };
            while ready.readable().await.is_ok() {
                // From here on what comes makes it ready again, and all that is there is read.
                let _ =
                    ready.try_io(Interest::READABLE, || -> io::Result<()> { Err(io::ErrorKind::WouldBlock.into()) });
                if sender.send(Event::Workers).await.is_err() {
                    return;
                }
            }
        });
    }

    /// Queues the letters that come over the FIFO; aborting the task closes it.
    pub fn watch_fifo(&self, path: &Path) -> io::Result<JoinHandle<()>> {
        let _inside = self.runtime.enter();
        // Open for writing too: it never ends, however many writers come and go.
        Ok(self.listen_to(pipe::OpenOptions::new().read_write(true).open_receiver(path)?))
    }

    /// The same for a FIFO that is open already.
    pub fn watch_open_fifo(&self, fifo: OwnedFd) -> io::Result<JoinHandle<()>> {
        let _inside = self.runtime.enter();
        Ok(self.listen_to(pipe::Receiver::from_owned_fd(fifo)?))
    }

    fn listen_to(&self, fifo: pipe::Receiver) -> JoinHandle<()> {
        let sender = self.sender.clone();
        self.runtime.spawn(async move {
            let mut letters = [0; 256];
            while fifo.readable().await.is_ok() {
                match fifo.try_read(&mut letters) {
                    Ok(0) => return,
                    Ok(count) => {
                        if sender.send(Event::Letters(letters[..count].to_vec())).await.is_err() {
                            return;
                        }
                    }
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    Err(_) => return,
                }
            }
        })
    }

    /// Queues that a connection came on a listener, once; aborting the task ends it.
    pub fn watch_listener(&self, listener: &Listener) -> io::Result<JoinHandle<()>> {
        let (listener, sender) = (listener.fd.try_clone()?, self.sender.clone());
        Ok(self.runtime.spawn(async move {
            let Ok(ready) = readiness(&listener) else { return };
            if ready.readable().await.is_ok() {
                // A master that is gone needs nothing.
                let _ = sender.send(Event::Knocked).await;
            }
        }))
    }

    /// Serves figures on a listener, and queues who wants to know them; aborting the task ends it.
    pub fn serve_figures(&self, listener: &Listener, terms: Terms) -> io::Result<JoinHandle<()>> {
        let (fd, sender) = (listener.fd.try_clone()?, self.sender.clone());
        let is_tcp = listener.port().is_some();
        Ok(self.runtime.spawn(server::serve(fd, is_tcp, terms, sender)))
    }

    /// Queues what comes over the control socket.
    pub fn watch_control(&self, listener: UnixListener) {
        self.runtime.spawn(control::serve(listener, self.sender.clone()));
    }

    /// Has a client that asked the program before this one told the outcome of what it waits for.
    pub fn adopt_client(&self, client: OwnedFd) -> io::Result<Waiter> {
        Waiter::adopt(client, &self.runtime)
    }

    /// Queues what the emperor asks.
    pub fn watch_emperor(&self, pipe: std::os::unix::net::UnixStream) {
        self.runtime.spawn(vassal::obey(pipe, self.sender.clone()));
    }

    /// Waits for the next event, at most `bound`.
    pub fn next(&mut self, bound: Duration) -> Event {
        let queue = &mut self.queue;
        self.runtime.block_on(async {
            match tokio::time::timeout(bound, queue.recv()).await {
                Ok(Some(event)) => event,
                // The sender lives as long as the queue, so that it never ends.
                Ok(None) | Err(_) => Event::Tick,
            }
        })
    }

    /// What is queued, or comes with what can be read now; `None` when there is nothing.
    pub fn at_hand(&mut self) -> Option<Event> {
        if let Ok(event) = self.queue.try_recv() {
            return Some(event);
        }
        self.flush();
        self.queue.try_recv().ok()
    }

    /// Lets the tasks send what they were just handed: answers to waiting clients, before the
    /// master exits.
    pub fn flush(&mut self) {
        // A task needs one turn to take an answer and one to write it; writing does not wait.
        const TURNS: usize = 8;
        self.runtime.block_on(async {
            for _ in 0..TURNS {
                tokio::task::yield_now().await;
            }
        });
    }
}

/// Hands each message of a channel to `deliver`, `None` at its end, until that returns false.
async fn receive<T, D, F>(channel: Channel, deliver: D)
where
    T: DeserializeOwned,
    D: Fn(Option<T>) -> F,
    F: Future<Output = bool>,
{
    let Ok(ready) = readiness(&channel) else { return };
    while ready.readable().await.is_ok() {
        match ready.try_io(Interest::READABLE, || channel.receive::<T>()) {
            Ok(Some((message, _))) => {
                if !deliver(Some(message)).await {
                    return;
                }
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                tracing::error!("a message that can't be read was dropped: {error}");
            }
            Ok(None) | Err(_) => {
                deliver(None).await;
                return;
            }
        }
    }
}

/// Waits for a descriptor in the runtime. The descriptor is used as a socket of that type for its
/// readiness only; what is read from it is read by its owner.
fn readiness(fd: impl AsFd) -> io::Result<UnixDatagram> {
    UnixDatagram::from_std(fd.as_fd().try_clone_to_owned()?.into())
}
