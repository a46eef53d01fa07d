//! The control socket: commands from this machine's `rustwsgi --reload`, answered with the outcome.
//!
//! The listening side runs as tasks of the master's runtime and hands each command to the master's
//! loop; the asking side is called by `cli`. One line of JSON each way. Only root and the user the
//! master runs as are heard.

use std::future::poll_fn;
use std::io::{self, BufRead, BufReader, Write};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use nix::sys::signal::Signal;
use nix::sys::socket::{getsockopt, sockopt};
use nix::unistd::Uid;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt};
use tokio::sync::{Semaphore, mpsc, oneshot};

use super::command::Command;
use super::events::Event;
use super::pidfile::Instance;
use crate::error::{Code, Error, Result};
use crate::sys::process::Handle;

/// How long a client may take to say what it wants.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long the control socket rests when there is no descriptor for a client.
const PAUSE: Duration = Duration::from_millis(100);
/// Clients heard at a time, those included who wait for an outcome. The others wait to be accepted.
const CLIENTS: usize = 64;
/// The longest request line, bytes.
const LONGEST: u64 = 4096;

/// What a client asks.
#[derive(Debug, Serialize, Deserialize)]
struct Ask {
    command: Command,
}

/// What it is told: how the command ended.
pub type Outcome = std::result::Result<String, Box<Error>>;

/// Somebody who waits for the outcome of a command.
pub type Waiter = oneshot::Sender<Outcome>;

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
    let (reader, mut writer) = client.split();
    let mut reader = tokio::io::BufReader::new(reader.take(LONGEST));
    let Ok(Ok(_)) = tokio::time::timeout(PATIENCE, reader.read_line(&mut line)).await else { return };
    let outcome = match serde_json::from_str::<Ask>(&line) {
        Ok(ask) => {
            let (waiter, outcome) = oneshot::channel();
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
    if let Ok(bytes) = serde_json::to_vec(&outcome) {
        let answer = async {
            writer.write_all(&bytes).await?;
            writer.write_all(b"\n").await
        };
        // A client that left does not need its answer, and one that never reads must not stay.
        let _ = tokio::time::timeout(PATIENCE, answer).await;
    }
}

/// `rustwsgi --reload PIDFILE`: asks for a reload and waits for its outcome, or only signals.
pub fn reload(pidfile: &Path, wait: bool, timeout: Option<Duration>) -> Result<String> {
    let instance = Instance::find(pidfile)?;
    if !wait {
        signal(&instance, Signal::SIGHUP)?;
        return Ok(format!("reload of pid {} asked for", instance.pid));
    }
    let mut stream = connect(&instance)?;
    stream.set_read_timeout(timeout).map_err(|error| Error::system("cannot set a timeout", error))?;
    let ask = serde_json::to_string(&Ask { command: Command::Reload }).map_err(|error| Error::system("json", error))?;
    writeln!(stream, "{ask}").map_err(|error| Error::system("cannot ask the master", error))?;
    let mut line = String::new();
    match BufReader::new(&stream).read_line(&mut line) {
        Ok(0) => Err(Error::new(
            Code::ReloadFailed,
            format!("the master (pid {}) ended the talk before the reload was over", instance.pid),
        )
        .hint("it is stopping, or it died: the log says more")),
        Ok(_) => serde_json::from_str::<Outcome>(&line)
            .map_err(|error| Error::new(Code::Internal, format!("the master's answer can't be read: {error}")))?
            .map_err(|error| *error),
        Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => Err(Error::new(
            Code::TimedOut,
            format!("the reload was not over within {} s", timeout.unwrap_or_default().as_secs()),
        )
        .hint("it goes on; the old code serves until the new is ready, and the log says how it ended")),
        Err(error) => Err(Error::system("cannot read the master's answer", error)),
    }
}

/// `rustwsgi --stop PIDFILE`: asks for a stop and waits until the last process is gone.
pub fn stop(pidfile: &Path, wait: bool, timeout: Option<Duration>) -> Result<String> {
    let instance = Instance::find(pidfile)?;
    // Opened before the signal, so that the pid can't be anybody else's by the time of the wait.
    let handle = Handle::open(instance.pid).map_err(|error| Error::system(format!("pid {}", instance.pid), error))?;
    send(&handle, &instance, Signal::SIGTERM)?;
    if wait && !handle.wait_exit(timeout).map_err(|error| Error::system("cannot wait for the master", error))? {
        return Err(Error::new(
            Code::TimedOut,
            format!("pid {} was still there after {} s", instance.pid, timeout.unwrap_or_default().as_secs()),
        )
        .hint("it finishes its requests first, at most for `worker-reload-mercy` seconds"));
    }
    Ok(format!("pid {} stopped", instance.pid))
}

fn signal(instance: &Instance, signal: Signal) -> Result<()> {
    let handle = Handle::open(instance.pid).map_err(|error| Error::system(format!("pid {}", instance.pid), error))?;
    send(&handle, instance, signal)
}

fn send(handle: &Handle, instance: &Instance, signal: Signal) -> Result<()> {
    handle.signal(signal).map_err(|error| {
        Error::new(Code::NotPermitted, format!("cannot signal pid {}: {error}", instance.pid))
            .hint("run the command as the user that the master runs as, or as root")
    })
}

fn connect(instance: &Instance) -> Result<UnixStream> {
    let refused = |error: io::Error| {
        Error::new(Code::NotPermitted, format!("cannot talk to the master, pid {}: {error}", instance.pid))
            .hint("from another network namespace or container only `--no-wait` works")
    };
    let address = SocketAddr::from_abstract_name(&instance.control).map_err(refused)?;
    let stream = UnixStream::connect_addr(&address).map_err(refused)?;
    // Anybody may bind an abstract name: believe only who holds the pid file.
    let peer = getsockopt(&stream, sockopt::PeerCredentials).map_err(|error| refused(error.into()))?;
    if peer.pid() != instance.pid.as_raw() {
        return Err(Error::new(
            Code::NotPermitted,
            format!("pid {} answers in the name of pid {}", peer.pid(), instance.pid),
        ));
    }
    Ok(stream)
}
