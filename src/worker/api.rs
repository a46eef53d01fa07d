//! Who a process is, for the module `uwsgi`: made of what the zygote and the workers are born with.
//!
//! Called by both before the app is imported. Gives the module its way to the master.

use std::os::fd::AsRawFd;
use std::sync::Arc;

use nix::unistd::Pid;

use super::notice::{Notice, Wish};
use crate::config::Config;
use crate::net::listener::Listener;
use crate::python::api::{Ask, Place, Waiting};
use crate::scoreboard::Scoreboard;
use crate::sys::channel::Channel;

/// Makes this process known to `import uwsgi`. `worker` is its number and its cell, `None` in the zygote.
pub fn introduce(
    worker: Option<(usize, usize)>,
    generation: u64,
    config: &Arc<Config>,
    board: &Scoreboard,
    seat: &Channel,
    master: Pid,
    listeners: &[Listener],
) {
    let seat = seat.try_clone().ok();
    let ask = move |ask| {
        let wish = match ask {
            Ask::Reload => Wish::Reload,
            Ask::Stop => Wish::Stop,
        };
        let notice = Notice::Wishes { pid: std::process::id(), wish };
        seat.as_ref().is_some_and(|seat| seat.send(&notice, &[]).is_ok())
    };
    let socket = |listener: &Listener| {
        let watched = listener.try_clone().ok()?;
        let waiting: Waiting = Box::new(move || watched.waiting());
        Some((listener.fd.as_raw_fd(), waiting))
    };
    Place {
        config: Arc::clone(config),
        generation,
        board: board.clone(),
        master,
        worker,
        sockets: listeners.iter().filter_map(socket).collect(),
        ask: Box::new(ask),
    }
    .take();
}
