//! The asking side of the control socket: what `--reload`, `--stop` and `ctl` do to an instance that
//! runs already.
//!
//! Called by `cli`, in a process of its own; nothing here runs in a master.

use std::io::{self, BufRead, BufReader, Write};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixStream};
use std::path::Path;
use std::time::Duration;

use nix::sys::signal::Signal;
use nix::sys::socket::{getsockopt, sockopt};

use super::command::Command;
use super::control::{Ask, Outcome, Told};
use super::pidfile::Instance;
use crate::error::{Code, Error, Result};
use crate::sys::process::Handle;

/// How long lies between two knocks at a control socket that nobody listens on.
const KNOCKS: Duration = Duration::from_millis(50);

/// `rustwsgi --reload PIDFILE`: asks for a reload and waits for its outcome, or only signals.
pub fn reload(pidfile: &Path, wait: bool, timeout: Option<Duration>) -> Result<Told> {
    if wait {
        return command(pidfile, Command::Reload, timeout);
    }
    let instance = Instance::find(pidfile)?;
    signal(&instance, Signal::SIGHUP)?;
    Ok(format!("reload of pid {} asked for", instance.pid).into())
}

/// `rustwsgi --stop PIDFILE`: asks for a stop and waits until the last process is gone.
pub fn stop(pidfile: &Path, wait: bool, timeout: Option<Duration>) -> Result<Told> {
    let instance = Instance::find(pidfile)?;
    // Opened before the signal, so that the pid can't be anybody else's by the time of the wait.
    let handle = Handle::open(instance.pid).map_err(|error| Error::system(format!("pid {}", instance.pid), error))?;
    // Of the signals that stop, the one that does so whatever the configuration says, however often
    // it comes.
    send(&handle, &instance, Signal::SIGQUIT)?;
    if !wait {
        return Ok(format!("stop of pid {} asked for", instance.pid).into());
    }
    if !handle.wait_exit(timeout).map_err(|error| Error::system("cannot wait for the master", error))? {
        return Err(Error::new(
            Code::TimedOut,
            format!("pid {} was still there after {} s", instance.pid, timeout.unwrap_or_default().as_secs()),
        )
        .hint("it finishes its requests first, at most for `worker-reload-mercy` seconds"));
    }
    Ok(format!("pid {} stopped", instance.pid).into())
}

/// Has a running instance do a command, and waits until that is done. A `timeout` of `None` waits for
/// ever.
pub fn command(pidfile: &Path, command: Command, timeout: Option<Duration>) -> Result<Told> {
    let instance = Instance::find(pidfile)?;
    let mut stream = connect(&instance)?;
    stream.set_read_timeout(timeout).map_err(|error| Error::system("cannot set a timeout", error))?;
    let ask = serde_json::to_string(&Ask { command }).map_err(|error| Error::system("json", error))?;
    writeln!(stream, "{ask}").map_err(|error| Error::system("cannot ask the master", error))?;
    let mut line = String::new();
    match BufReader::new(&stream).read_line(&mut line) {
        Ok(0) => Err(Error::new(
            Code::ReloadFailed,
            format!("the master (pid {}) ended the talk before it was done", instance.pid),
        )
        .hint("it is stopping, or it died: the log says more")),
        Ok(_) => serde_json::from_str::<Outcome>(&line)
            .map_err(|error| Error::new(Code::Internal, format!("the master's answer can't be read: {error}")))?
            .map_err(|error| *error),
        Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => Err(Error::new(
            Code::TimedOut,
            format!("it was not done within {} s", timeout.unwrap_or_default().as_secs()),
        )
        .hint("it goes on: what served before serves until then, and the log says how it ended")),
        Err(error) => Err(Error::system("cannot read the master's answer", error)),
    }
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

/// Connects, for a moment again and again where nobody listens: a master holds its pid file just before
/// it opens the socket that is named after it.
fn knock(address: &SocketAddr) -> io::Result<UnixStream> {
    for _ in 0..20 {
        match UnixStream::connect_addr(address) {
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => std::thread::sleep(KNOCKS),
            done => return done,
        }
    }
    UnixStream::connect_addr(address)
}

fn connect(instance: &Instance) -> Result<UnixStream> {
    let refused = |error: io::Error| {
        Error::new(Code::NotPermitted, format!("cannot talk to the master, pid {}: {error}", instance.pid))
            .hint("from another network namespace or container only `--no-wait` works")
    };
    let address = SocketAddr::from_abstract_name(&instance.control).map_err(refused)?;
    let stream = knock(&address).map_err(refused)?;
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
