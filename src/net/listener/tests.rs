//! Tests of listeners, against real sockets.

use super::*;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{SocketAddr as UnixAddress, UnixListener, UnixStream};
use std::time::Duration;

use super::super::stream::Interest;
use crate::error::Code;

const BACKLOG: Backlog = Backlog(16);

/// A directory of the test's own, removed with it.
struct Directory(PathBuf);

impl Directory {
    fn new(test: &str) -> Self {
        let path = std::env::temp_dir().join(format!("rustwsgi-{test}-{}", std::process::id()));
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn names(&self) -> Vec<String> {
        fs::read_dir(&self.0).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn address(text: &str) -> Address {
    Address::parse(text, Path::new("/")).unwrap()
}

fn reserve(text: &str) -> Result<Reserved> {
    Reserved::reserve(Protocol::Uwsgi, &address(text))
}

fn listen(text: &str) -> Result<Listener> {
    reserve(text)?.listen(BACKLOG, &Access::default())
}

/// Accepts a client that has connected already and passes a byte to it.
fn greets(listener: &Listener, client: &mut (impl Read + Write)) -> Peer {
    let (stream, peer) = listener.accept().unwrap().unwrap();
    client.write_all(b"?").unwrap();
    assert!(stream.wait(Interest::Read, Duration::from_secs(5)).unwrap());
    assert_eq!(stream.read(&mut [0; 8]).unwrap(), Some(1));
    assert_eq!(stream.read(&mut [0; 8]).unwrap(), None, "never blocks");
    stream.write(b"!", b"").unwrap();
    drop(stream);
    let mut answer = String::new();
    client.read_to_string(&mut answer).unwrap();
    assert_eq!(answer, "!");
    peer
}

#[test]
fn tcp_is_held_first_and_listens_then() {
    let reserved = reserve("127.0.0.1:0").unwrap();
    let Hold::Tcp(socket, _) = &reserved.hold else { panic!() };
    let bound = socket.local_addr().unwrap().as_socket().unwrap();
    assert!(TcpStream::connect(bound).is_err(), "clients are refused until it listens");

    let listener = reserved.listen(BACKLOG, &Access::default()).unwrap();
    assert_eq!(listener.name, bound.to_string());
    assert_eq!(listener.port(), Some(bound.port()));
    assert_eq!(listener.address, address("127.0.0.1:0"));
    assert!(listener.accept().unwrap().is_none());
    let mut client = TcpStream::connect(bound).unwrap();
    let peer = greets(&listener, &mut client);
    assert_eq!(peer.address(), Some(client.local_addr().unwrap()));
    assert!(!listener.unlink_if_ours().unwrap());
}

#[test]
fn accepted_connections_inherit_nodelay_and_close_on_exec() {
    let listener = listen("127.0.0.1:0").unwrap();
    let _client = TcpStream::connect(&listener.name).unwrap();
    let (stream, _) = listener.accept().unwrap().unwrap();
    assert!(SockRef::from(&stream).tcp_nodelay().unwrap());
    let flags = nix::fcntl::fcntl(&stream, nix::fcntl::FcntlArg::F_GETFD).unwrap();
    assert_eq!(flags, nix::libc::FD_CLOEXEC);
}

#[test]
fn a_port_in_use_names_its_holder() {
    let first = listen("127.0.0.1:0").unwrap();
    let error = listen(&first.name).unwrap_err();
    assert_eq!(error.code, Code::AddressInUse);
    let start = format!("`{}` is already in use by pid {} (", first.name, std::process::id());
    assert!(error.message.starts_with(&start), "{error}");
    assert!(!error.hints.is_empty());
    let name = first.name.clone();
    drop(first);
    listen(&name).unwrap();
}

#[test]
fn a_port_that_another_listened_on_meanwhile_is_in_use() {
    let (late, port) = {
        let late = reserve("127.0.0.1:0").unwrap();
        let Hold::Tcp(socket, _) = &late.hold else { panic!() };
        let port = socket.local_addr().unwrap().as_socket().unwrap().port();
        (late, port)
    };
    let first = listen(&format!("127.0.0.1:{port}")).unwrap();
    let error = late.listen(BACKLOG, &Access::default()).unwrap_err();
    assert_eq!(error.code, Code::AddressInUse, "{error}");
    drop(first);
}

#[test]
fn an_address_of_another_machine_is_refused() {
    let error = reserve("192.0.2.1:80").unwrap_err();
    assert_eq!(error.code, Code::BindRefused);
    assert_eq!(error.message, "`192.0.2.1:80` is no address of this machine");
}

#[test]
fn unix_paths_have_mode_and_file_and_go_with_vacuum() {
    let directory = Directory::new("vacuum");
    let path = directory.file("app.sock");
    let name = path.to_str().unwrap();
    let reserved = reserve(name).unwrap();
    assert!(!path.exists(), "reserving touches nothing");
    let access = Access { mode: Some(0o666), owner: Some(Uid::effective()), group: Some(Gid::effective()) };
    let listener = reserved.listen(BACKLOG, &access).unwrap();
    assert_eq!(listener.name, name);
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o666);
    assert_eq!(greets(&listener, &mut UnixStream::connect(&path).unwrap()).address(), None);
    listener.grant(&Access { mode: Some(0o600), ..Access::default() }).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);

    assert!(listener.unlink_if_ours().unwrap());
    assert!(!listener.unlink_if_ours().unwrap());
    let _other = UnixListener::bind(&path).unwrap();
    assert!(!listener.unlink_if_ours().unwrap(), "another's socket stays");
    assert_eq!(directory.names(), ["app.sock"]);
}

#[test]
fn a_stale_socket_is_replaced_and_a_live_one_never() {
    let directory = Directory::new("stale");
    let path = directory.file("app.sock");
    let name = path.to_str().unwrap();
    drop(UnixListener::bind(&path).unwrap());
    let listener = listen(name).unwrap();
    greets(&listener, &mut UnixStream::connect(&path).unwrap());

    let error = listen(name).unwrap_err();
    assert_eq!(error.code, Code::AddressInUse);
    assert!(error.message.contains(&format!("by pid {} (", std::process::id())), "{error}");
    // The probe of the refused one.
    assert!(listener.accept().unwrap().is_some());
    greets(&listener, &mut UnixStream::connect(&path).unwrap());
    assert_eq!(directory.names(), ["app.sock"]);
}

#[test]
fn a_full_backlog_is_alive() {
    let directory = Directory::new("full");
    let path = directory.file("app.sock");
    let name = path.to_str().unwrap();
    let listener = reserve(name).unwrap().listen(Backlog(0), &Access::default()).unwrap();
    let _waiting = UnixStream::connect(&path).unwrap();
    let error = reserve(name).unwrap_err();
    assert_eq!(error.code, Code::AddressInUse);
    assert!(error.message.contains(&format!("by pid {} (", std::process::id())), "{error}");
    drop(listener);
}

#[test]
fn what_is_no_socket_is_left_alone() {
    let directory = Directory::new("file");
    let path = directory.file("settings.py");
    fs::write(&path, "precious").unwrap();
    let error = listen(path.to_str().unwrap()).unwrap_err();
    assert_eq!(error.code, Code::BindRefused);
    assert!(error.message.ends_with("is a file, not a socket"), "{error}");
    assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
    let error = listen(directory.0.to_str().unwrap()).unwrap_err();
    assert!(error.message.ends_with("is a directory, not a socket"), "{error}");
}

#[test]
fn a_missing_directory_is_named() {
    let directory = Directory::new("missing");
    let error = reserve(directory.file("run/app.sock").to_str().unwrap()).unwrap_err();
    assert_eq!(error.code, Code::DirectoryMissing);
    assert_eq!(error.hints, [format!("mkdir -p {}", directory.file("run").display())]);
}

#[test]
fn abstract_names_end_with_a_nul_as_in_uwsgi() {
    let name = format!("rustwsgi-test-{}", std::process::id());
    let listener = listen(&format!("@{name}")).unwrap();
    assert_eq!(listener.name, format!("@{name}"));
    let client = UnixAddress::from_abstract_name(format!("{name}\0")).unwrap();
    greets(&listener, &mut UnixStream::connect_addr(&client).unwrap());
    let error = listen(&listener.name).unwrap_err();
    assert_eq!(error.code, Code::AddressInUse);
    assert!(error.message.contains(&format!("by pid {} (", std::process::id())), "{error}");
}

#[test]
fn a_passed_on_descriptor_is_checked_and_serves() {
    let listener = listen("127.0.0.1:0").unwrap();
    let copy = listener.try_clone().unwrap();
    let adopted = Listener::adopt(copy.fd, copy.protocol, copy.address, copy.file).unwrap();
    assert_eq!(adopted.name, listener.name);
    let name = listener.name.clone();
    drop(listener);
    greets(&adopted, &mut TcpStream::connect(name).unwrap());

    let (end, _other) = UnixStream::pair().unwrap();
    let error = Listener::adopt(end.into(), Protocol::Http, address("@x"), None).unwrap_err();
    assert!(error.message.contains("no listening socket"), "{error}");
}

#[test]
fn the_backlog_is_cut_with_a_warning() {
    assert_eq!(Backlog::within_system(1), (Backlog(1), None));
    let (backlog, warning) = Backlog::within_system(u32::MAX);
    let warning = warning.unwrap();
    assert_eq!(warning.code, Code::QueueCut);
    assert!(warning.message.contains(&format!("{} connections", backlog.0)));
}

#[test]
fn exhaustion_is_told_from_other_errors() {
    assert!(is_exhausted(&Errno::EMFILE.into()));
    assert!(!is_exhausted(&Errno::EBADF.into()));
}
