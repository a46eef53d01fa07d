//! The instance's listeners: what the configuration asks for against what is open already.
//!
//! In two steps, so that nothing is touched for a start or a reload that will not succeed:
//! [`Plan::make`] finds out whether each address can be had, [`Plan::open`] takes it.

use std::path::Path;

use nix::unistd::{Gid, Uid};
use socket2::SockRef;

use super::{activation, privileges};
use crate::config::{Config, Setting, Warning};
use crate::error::{Code, Error, Result};
use crate::net::address::Address;
use crate::net::listener::{Access, Backlog, Listener, Protocol, Reserved, Traits};
use crate::net::reach;
use crate::sys::user;

/// One socket of the configuration to come.
#[derive(Debug)]
enum Planned {
    /// Open already, at this place in the list of listeners.
    Kept(usize, Protocol),
    /// To be opened.
    New(Reserved),
}

/// The listeners that a configuration asks for.
#[derive(Debug)]
pub struct Plan {
    sockets: Vec<Planned>,
    access: Access,
    traits: Traits,
    backlog: u32,
}

impl Plan {
    /// Finds out whether every socket of `config` can be had beside the `open` ones; takes nothing.
    pub fn make(config: &Config, directory: &Path, open: &[Listener]) -> Result<Self> {
        let wanted = config.sockets.iter().map(|it| (it.address.as_str(), it.protocol, Some(&it.setting)));
        let mut plan = Self::of(config, directory, wanted, open)?;
        let sockets = &mut plan.sockets;
        let plain = if config.protocol.as_deref() == Some("http") { Protocol::Http } else { Protocol::Uwsgi };
        for (at, listener) in open.iter().enumerate().filter(|(_, listener)| listener.given.is_some()) {
            if !sockets.iter().any(|planned| matches!(planned, Planned::Kept(kept, _) if *kept == at)) {
                sockets.push(Planned::Kept(at, plain));
                if !config.sockets.is_empty() {
                    activation::say_unnamed(listener, plain);
                }
            }
        }
        if sockets.is_empty() {
            return Err(Error::new(Code::NothingToServe, "no socket to serve on")
                .hint("name it as well as the `.socket` unit does: socket = /run/blog.sock"));
        }
        Ok(plan)
    }

    /// The same for sockets that are not the app's.
    pub fn of<'a>(
        config: &Config,
        directory: &Path,
        wanted: impl Iterator<Item = (&'a str, Protocol, Option<&'a Setting>)>,
        open: &[Listener],
    ) -> Result<Self> {
        let base = config.app_directory(directory);
        let traits = traits(config);
        let mut sockets: Vec<Planned> = Vec::new();
        for (named, protocol, setting) in wanted {
            let address = address(config, named, &base).map_err(|error| error.maybe_at(setting))?;
            let address = match address {
                Address::Unix(path) => Address::Unix(config.outside(directory, &path)),
                other => other,
            };
            let kept = open.iter().position(|listener| listener.stands_for(&address));
            sockets.push(match kept {
                Some(at) => Planned::Kept(at, protocol),
                None => {
                    let reserved = Reserved::reserve_with(protocol, &address, &traits);
                    Planned::New(reserved.map_err(|error| error.maybe_at(setting))?)
                }
            });
        }
        Ok(Self { sockets, access: access(config)?, traits, backlog: config.listen })
    }

    /// Opens what is new and keeps what stays; in the configuration's order. On failure what was
    /// opened is closed again.
    pub fn open(self, open: &[Listener]) -> Result<Vec<Listener>> {
        let mut listeners: Vec<Listener> = Vec::with_capacity(self.sockets.len());
        let (backlog, less) = Backlog::within_system(self.backlog);
        if let Some(warning) = less {
            tracing::warn!("{}", Warning::from(warning));
        }
        for socket in self.sockets {
            let listener = match socket {
                Planned::Kept(at, protocol) => open[at]
                    .try_clone()
                    .map_err(|error| Error::system("dup", error))
                    .and_then(|kept| kept.grant(&self.access).map(|()| Listener { protocol, ..kept }))
                    .inspect(|kept| {
                        // Asked again, a socket that listens takes the new length of its queue; one
                        // that can't keeps the old.
                        let _ = SockRef::from(&kept.fd).listen(self.backlog as i32);
                    }),
                Planned::New(reserved) => reserved.listen(backlog, &self.access).inspect(|new| {
                    reach::closed(new).into_iter().for_each(|closed| tracing::warn!("{}", Warning::from(closed)));
                }),
            };
            match listener {
                Ok(listener) => {
                    if let Err(error) = self.traits.apply(&listener) {
                        tracing::warn!("cannot set the options of the socket {}: {error}", listener.name);
                    }
                    listeners.push(listener);
                }
                Err(error) => {
                    discard(&listeners, open);
                    return Err(error);
                }
            }
        }
        Ok(listeners)
    }
}

/// Says in the log which listeners a reload opened, and which it closed.
pub fn tell_changes(before: &[Listener], now: &[Listener]) {
    let in_both = |one: &Listener, all: &[Listener]| {
        all.iter().any(|other| other.address == one.address && other.protocol == one.protocol)
    };
    for listener in now.iter().filter(|listener| !in_both(listener, before)) {
        tracing::info!("{} socket bound to {}", listener.protocol.as_str(), listener.name);
    }
    for listener in before.iter().filter(|listener| !in_both(listener, now)) {
        tracing::info!("{} socket {} closed", listener.protocol.as_str(), listener.name);
    }
}

/// Takes the files of UNIX listeners away that are in `gone` and not in `staying`.
pub fn discard(gone: &[Listener], staying: &[Listener]) {
    for listener in gone {
        if !staying.iter().any(|kept| kept.address == listener.address) {
            match listener.unlink_if_ours() {
                Ok(true) => tracing::info!("VACUUM: unix socket {} removed.", listener.name),
                Ok(false) => {}
                Err(error) => tracing::warn!("cannot remove the socket {}: {error}", listener.name),
            }
        }
    }
}

/// Takes the files of UNIX listeners away where that was asked for (uWSGI: `--vacuum`).
pub fn discard_if(listeners: &[Listener], vacuum: bool) {
    if vacuum {
        discard(listeners, &[]);
    }
}

/// Where to listen; a path is a name where `abstract-socket` says so.
fn address(config: &Config, text: &str, base: &Path) -> Result<Address> {
    match Address::parse(text, base)? {
        Address::Unix(_) if config.http.abstract_socket => Address::parse(&format!("@{text}"), base),
        address => Ok(address),
    }
}

/// What the kernel is told of every socket.
fn traits(config: &Config) -> Traits {
    let http = &config.http;
    Traits {
        keepalive: http.so_keepalive,
        send_buffer: http.socket_sndbuf,
        receive_buffer: http.socket_rcvbuf,
        freebind: http.freebind,
        reuse_port: http.reuse_port,
    }
}

/// Mode and owner of UNIX sockets.
fn access(config: &Config) -> Result<Access> {
    let mut owner: (Option<Uid>, Option<Gid>) = (None, None);
    if let Some(text) = &config.chown_socket {
        let (name, group) = text.split_once(':').map_or((text.as_str(), None), |(name, group)| (name, Some(group)));
        owner = (
            Some(privileges::known_user(config, "chown-socket", name)?),
            group.map(|group| privileges::known_group(config, "chown-socket", group)).transpose()?,
        );
    } else if user::is_root() {
        // uWSGI binds after it dropped its privileges, so the sockets are the user's.
        let identity = privileges::identity(config)?;
        owner = (identity.uid, identity.gid);
    }
    // uWSGI sets the umask to 0 in the background, and sites rely on their front end, another user,
    // being able to connect. Only sockets get that here, not the log or the pid file.
    let open_to_all = config.daemonize.is_some() && config.umask.is_none();
    let mode = config.chmod_socket.or(open_to_all.then_some(0o777));
    Ok(Access { mode, owner: owner.0, group: owner.1 })
}
