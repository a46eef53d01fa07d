//! Socket activation: the listening sockets that systemd, or whoever started us, handed over.
//!
//! Called once, before the master opens or forks anything. What is taken here belongs to whoever
//! made it: it is served, kept over reloads, and closed; never bound, moved or removed.

use std::ffi::OsString;

use nix::unistd::getpid;

use crate::config::Config;
use crate::error::Result;
use crate::net::address::Address;
use crate::net::listener::{Listener, Protocol};
use crate::sys::{environment, fd};

/// The first descriptor that systemd hands over.
const FIRST: i32 = 3;

/// More than any unit has: a number that is no count of sockets is not believed.
const MOST: i32 = 1024;

/// Takes the sockets that this process was started with: those of `LISTEN_FDS` where `LISTEN_PID`
/// is this process, those that `config` names as `fd://N`, and a listening socket on descriptor 0,
/// as inetd and the emperor hand it over. The variables are taken out of the environment.
pub fn take(config: &Config) -> Result<Vec<Listener>> {
    let [count, pid, names] = ["LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES"].map(environment::take);
    let names = names.and_then(|names| names.into_string().ok()).unwrap_or_default();
    let mut given = Vec::new();
    for number in (FIRST..).take(count_of(count, pid)) {
        let listener = listener(number)?;
        let name = names.split(':').nth((number - FIRST) as usize).filter(|name| !name.is_empty());
        let name = name.map(|name| format!(", `{name}`")).unwrap_or_default();
        tracing::info!("- SystemD socket activation detected - {} (descriptor {number}{name})", listener.name);
        given.push(listener);
    }
    for setting in &config.sockets {
        if let Some(number) = setting.address.strip_prefix("fd://").and_then(|number| number.parse().ok())
            && !given.iter().any(|listener| listener.given == Some(number))
            && (number == 0 || number >= FIRST)
        {
            given.push(listener(number).map_err(|error| error.at(&setting.setting))?);
        }
    }
    if let Ok(listener) = listener(0)
        && !given.iter().any(|other| other.given == Some(0))
    {
        given.push(listener);
    }
    Ok(given)
}

/// Says that a socket came along which the configuration does not name. uWSGI serves it as well.
pub fn say_unnamed(listener: &Listener, protocol: Protocol) {
    let number = listener.given.unwrap_or_default();
    let option = if matches!(listener.address, Address::Descriptor(_)) {
        format!("socket = fd://{number}")
    } else {
        format!("socket = {}", listener.address)
    };
    tracing::warn!(
        "descriptor {number}, {}, was handed over and no option names it: it is served with the {} protocol; \
         `{option}` or `http-{option}` says which is meant",
        listener.name,
        protocol.as_str(),
    );
}

fn listener(number: i32) -> Result<Listener> {
    let fd = fd::given(number).map_err(|error| Listener::not_open(number, &error))?;
    Listener::of_given(number, fd)
}

/// How many sockets are meant for this process.
fn count_of(count: Option<OsString>, pid: Option<OsString>) -> usize {
    let number = |text: OsString| text.to_str().and_then(|text| text.parse::<i32>().ok());
    let ours = pid.and_then(number) == Some(getpid().as_raw());
    let count = count.and_then(number).filter(|count| ours && (0..=MOST).contains(count));
    count.unwrap_or(0) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_sockets_meant_for_this_process_count() {
        let own = || Some(getpid().to_string().into());
        assert_eq!(count_of(Some("2".into()), own()), 2);
        for (count, pid) in [(None, own()), (Some("2"), None), (Some("2"), Some("1".into())), (Some("-1"), own())] {
            assert_eq!(count_of(count.map(Into::into), pid), 0);
        }
        for nonsense in ["", "two", "99999999"] {
            assert_eq!(count_of(Some(nonsense.into()), own()), 0);
        }
    }
}
