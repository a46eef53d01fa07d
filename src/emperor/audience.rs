//! The emperor's side of its control socket: one client at a time, without a runtime.
//!
//! Called by the reign's loop when somebody knocks; its commands end at once. What a client may say,
//! and how it is answered, stands in `master::control`.

use std::io::{self, BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixListener;
use std::time::Duration;

use nix::sys::socket::{getsockopt, sockopt};
use nix::unistd::Uid;

use crate::error::{Code, Error};
use crate::master::command::Command;
use crate::master::control::{Ask, LONGEST, Outcome};

/// How long a client may take, as nothing else is done meanwhile.
const PATIENCE: Duration = Duration::from_millis(200);

/// Serves one client of a control socket without a runtime: `answer` says how its command ended. For
/// the emperor, whose commands end at once.
pub fn give(listener: &UnixListener, answer: impl FnOnce(Command) -> Outcome) -> io::Result<()> {
    let (client, _) = listener.accept()?;
    client.set_nonblocking(false)?;
    client.set_read_timeout(Some(PATIENCE))?;
    client.set_write_timeout(Some(PATIENCE))?;
    let peer = getsockopt(&client, sockopt::PeerCredentials)?;
    if peer.uid() != 0 && peer.uid() != Uid::effective().as_raw() {
        return Ok(());
    }
    let mut line = String::new();
    BufReader::new(io::Read::take(&client, LONGEST)).read_line(&mut line)?;
    let outcome = match serde_json::from_str::<Ask>(&line) {
        Ok(ask) => answer(ask.command),
        Err(error) => {
            Err(Box::new(Error::new(Code::Internal, format!("a control request that can't be read: {error}"))))
        }
    };
    (&client).write_all(&serde_json::to_vec(&outcome)?)?;
    (&client).write_all(b"\n")
}
