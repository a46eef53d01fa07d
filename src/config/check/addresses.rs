//! Addresses that no socket can have.
//!
//! Called by `check` for each socket, so that `--check` tells what a start would find out. Looks at
//! the text alone: whether the address is free is found out by who binds it.

use std::path::Path;

use crate::config::SocketSetting;
use crate::error::{Code, Error};
use crate::net::address::Address;

/// What is wrong with the address of a socket, if anything.
pub(super) fn refusal(socket: &SocketSetting) -> Option<Error> {
    let (key, address) = (&socket.setting.key, socket.address.as_str());
    let about = |error: Error| error.at(&socket.setting).part(address);
    if let Some((scheme @ ("http" | "https" | "unix" | "tcp" | "uwsgi"), rest)) = address.split_once("://") {
        let message = format!("`{key}` takes an address without `{scheme}://`");
        let plain = rest.trim_end_matches('/');
        return Some(about(Error::new(Code::BadAddress, message)).hint(format!("{key} = {plain}")));
    }
    Address::parse(address, Path::new("/")).err().map(about)
}
