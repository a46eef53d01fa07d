//! The control socket: commands from this machine's `rustwsgi --reload` and `ctl`, answered with the
//! outcome.
//!
//! Runs as tasks of the master's runtime and hands each command to the master's loop; the asking side
//! is `ask`. One line of JSON each way. Only root and the user the master runs as are heard.

use std::future::poll_fn;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use nix::unistd::Uid;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::runtime::Runtime;
use tokio::sync::{Semaphore, mpsc, oneshot};

use super::command::Command;
use super::events::Event;
use crate::error::{Code, Error};

/// How long a client may take to say what it wants.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long the control socket rests when there is no descriptor for a client.
const PAUSE: Duration = Duration::from_millis(100);
/// Clients heard at a time, those included who wait for an outcome. The others wait to be accepted.
const CLIENTS: usize = 64;
/// The longest request line, bytes.
pub const LONGEST: u64 = 4096;

/// What a client asks.
#[derive(Debug, Serialize, Deserialize)]
pub struct Ask {
    /// What it wants done.
    pub command: Command,
}

/// What a client is told whose command was done.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// What was done.
    pub message: String,
    /// What was odd about it; in the log as well.
    pub warnings: Vec<String>,
}

impl From<String> for Told {
    fn from(message: String) -> Self {
        Self { message, warnings: Vec::new() }
    }
}

/// How a command ended.
pub type Outcome = std::result::Result<Told, Box<Error>>;

/// Somebody who waits for the outcome of a command.
#[derive(Debug)]
pub struct Waiter {
    outcome: oneshot::Sender<Outcome>,
    /// The client's connection, for a program that takes this one's place.
    client: Option<OwnedFd>,
}

impl Waiter {
    /// Nobody, who is told nothing.
    pub fn nobody() -> Self {
        Self { outcome: oneshot::channel().0, client: None }
    }

    /// Tells the outcome; nothing happens where nobody waits any longer.
    pub fn tell(self, outcome: Outcome) {
        // A client that left does not need it.
        let _ = self.outcome.send(outcome);
    }

    /// The connection of a client that still waits.
    pub fn client(&self) -> Option<BorrowedFd<'_>> {
        self.client.as_ref().filter(|_| !self.outcome.is_closed()).map(AsFd::as_fd)
    }

    /// A client that asked the program before this one; the task that answers it runs in `runtime`.
    pub fn adopt(client: OwnedFd, runtime: &Runtime) -> io::Result<Self> {
        let stream = std::os::unix::net::UnixStream::from(client.try_clone()?);
        stream.set_nonblocking(true)?;
        let (waiter, outcome) = oneshot::channel();
        runtime.spawn(async move {
            let (Ok(mut stream), Ok(outcome)) = (tokio::net::UnixStream::from_std(stream), outcome.await) else {
                return;
            };
            answer(&mut stream, &outcome).await;
        });
        Ok(Self { outcome: waiter, client: Some(client) })
    }
}

/// Binds the control socket under its abstract name.
pub fn bind(name: &[u8]) -> io::Result<UnixListener> {
    let listener = UnixListener::bind_addr(&SocketAddr::from_abstract_name(name)?)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Serves the control socket for as long as the runtime lives. Called inside the runtime.
pub async fn serve(listener: UnixListener, events: mpsc::Sender<Event>) {
    let Ok(listener) = tokio::net::UnixListener::from_std(listener) else { return };
    let room = Arc::new(Semaphore::new(CLIENTS));
    while let Ok(place) = Arc::clone(&room).acquire_owned().await {
        match listener.accept().await {
            Ok((client, _)) => {
                let events = events.clone();
                tokio::spawn(async move {
                    converse(client, events).await;
                    drop(place);
                });
            }
            // Descriptors run out, which passes: a master that went deaf could not be reloaded again.
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
    }
}

/// One conversation: a line in, the command's outcome out.
async fn converse(mut client: tokio::net::UnixStream, events: mpsc::Sender<Event>) {
    let allowed = client.peer_cred().is_ok_and(|peer| peer.uid() == 0 || peer.uid() == Uid::effective().as_raw());
    if !allowed {
        return;
    }
    let mut line = String::new();
    let own = client.as_fd().try_clone_to_owned().ok();
    let (reader, mut writer) = client.split();
    let mut reader = tokio::io::BufReader::new(reader.take(LONGEST));
    let Ok(Ok(_)) = tokio::time::timeout(PATIENCE, reader.read_line(&mut line)).await else { return };
    let outcome = match serde_json::from_str::<Ask>(&line) {
        Ok(ask) => {
            let (waiter, outcome) = oneshot::channel();
            let waiter = Waiter { outcome: waiter, client: own };
            if events.send(Event::Asked(ask.command, waiter)).await.is_err() {
                return;
            }
            // A client says nothing more: what can be read is its end, and nobody waits any longer.
            let mut more = [0];
            let mut gone = pin!(reader.read(&mut more));
            let mut outcome = pin!(outcome);
            let first = poll_fn(|context| match outcome.as_mut().poll(context) {
                Poll::Ready(outcome) => Poll::Ready(outcome.ok()),
                Poll::Pending => gone.as_mut().poll(context).map(|_| None),
            });
            match first.await {
                Some(outcome) => outcome,
                None => return,
            }
        }
        Err(error) => {
            Err(Box::new(Error::new(Code::Internal, format!("a control request that can't be read: {error}"))))
        }
    };
    answer(&mut writer, &outcome).await;
}

/// Writes an outcome, one line.
async fn answer(writer: &mut (impl AsyncWrite + Unpin), outcome: &Outcome) {
    if let Ok(bytes) = serde_json::to_vec(outcome) {
        let answer = async {
            writer.write_all(&bytes).await?;
            writer.write_all(b"\n").await
        };
        // A client that left does not need its answer, and one that never reads must not stay.
        let _ = tokio::time::timeout(PATIENCE, answer).await;
    }
}
