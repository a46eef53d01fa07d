//! HTTP and other protocols: what is spoken on the sockets, and its limits; rows that are built.
//!
//! Part of the option table, see `options`, which says what a row is.

use super::*;

options! {
    /// HTTP and other protocols: what is spoken on the sockets, and its limits.
    pub struct Http {}

    /// listens for HTTP, for clients that come without a web server in front
    /// uWSGI starts a proxy for it; here the workers take the connections themselves.
    ["http" "httprouter"] Socket(Protocol::HttpRouter), Sockets, Core, "0.2.0", Works;

    /// listens for HTTP, as `http-socket` does
    ["http11-socket"] Socket(Protocol::Http), Sockets, Common, "0.2.0", Works;

    /// listens for SCGI, as nginx's `scgi_pass` speaks it
    ["scgi-socket"] Socket(Protocol::Scgi), Sockets, Common, "0.2.0", Works;

    /// listens for SCGI and answers with whole HTTP responses
    ["scgi-nph-socket"] Socket(Protocol::ScgiNph), Sockets, Rare, "0.2.0", Works;

    /// listens for FastCGI, as nginx's `fastcgi_pass` speaks it
    ["fastcgi-socket"] Socket(Protocol::Fastcgi), Sockets, Common, "0.2.0", Works;

    /// how many seconds a client of an `http` socket may keep a read or a write waiting
    ["http-timeout"] from(1), Sockets, Common, "0.2.0", Works
        => http_timeout: u64 = 60;

    /// how many seconds the head of a request may take on an `http` socket
    /// 0 means as long as `http-timeout` says.
    ["http-headers-timeout"] COUNT, Sockets, Common, "0.2.0", Works
        => http_headers_timeout: u64 = 0;

    /// how many seconds HTTP connections stay open between two requests
    /// Bare or 0 means 75; connections always stay open.
    ["http-keepalive"] OptionalText, Sockets, Common, "0.2.0", Works, uwsgi "off"
        => http_keepalive: Option<String> = None;

    /// answers `Expect: 100-continue`; up to so many bytes, where a number is given
    /// It is always answered; a body over the number is refused with 413.
    ["http-manage-expect"] OptionalText, Sockets, Common, "0.2.0", Works
        => http_manage_expect: Option<String> = None;

    /// adds a variable, `NAME=value`, to requests that come over `http` sockets
    ["http-var"] Pairs, Sockets, Rare, "0.2.0", Works
        => http_var: Vec<String> = Vec::new();

    /// takes the client's address from the PROXY protocol's header on `http` sockets
    /// Version 1 or 2. A connection without the header is refused.
    ["http-enable-proxy-protocol"] Switch, Sockets, Common, "0.2.0", Works
        => http_enable_proxy_protocol: bool = false;

    /// takes the client's address from the PROXY protocol's header on `http-socket`
    /// Version 1 or 2. A connection without the header is refused.
    ["enable-proxy-protocol"] Switch, Sockets, Common, "0.2.0", Works
        => enable_proxy_protocol: bool = false;

    /// makes UNIX sockets abstract ones, which have no file
    ["abstract-socket", 'a'] Switch, Sockets, Rare, "0.2.0", Works
        => abstract_socket: bool = false;

    /// binds addresses that the machine does not have yet
    ["freebind"] Switch, Sockets, Rare, "0.2.0", Works
        => freebind: bool = false;

    /// lets several instances of one user bind the same port
    ["reuse-port"] Switch, Sockets, Common, "0.2.0", Works
        => reuse_port: bool = false;

    /// has the kernel probe connections that stand still
    ["so-keepalive"] Switch, Sockets, Common, "0.2.0", Works
        => so_keepalive: bool = false;

    /// how many bytes the kernel's send buffer has
    ["socket-sndbuf"] within(0, i32::MAX as i64), Sockets, Rare, "0.2.0", Works
        => socket_sndbuf: usize = 0;

    /// how many bytes the kernel's receive buffer has
    ["socket-rcvbuf"] within(0, i32::MAX as i64), Sockets, Rare, "0.2.0", Works
        => socket_rcvbuf: usize = 0;

    /// how many processes the HTTP proxy has
    ["http-processes" "http-workers"] COUNT, Sockets, Common, "0.2.0",
        Accepted("there is no proxy, the workers take HTTP themselves");

    /// the user of the HTTP proxy
    ["http-uid"] Text, Sockets, Common, "0.2.0",
        Accepted("there is no proxy, the workers take HTTP themselves");

    /// the group of the HTTP proxy
    ["http-gid"] Text, Sockets, Common, "0.2.0",
        Accepted("there is no proxy, the workers take HTTP themselves");

    /// kills an HTTP proxy that hangs for this many seconds
    ["http-harakiri"] COUNT, Sockets, Rare, "0.2.0",
        Accepted("there is no proxy that could hang");

    /// how many events the HTTP proxy takes at a time
    ["http-events"] COUNT, Sockets, Rare, "0.2.0",
        Accepted("there is no proxy, the workers take HTTP themselves");

    /// how many seconds the HTTP proxy tries to connect to a worker
    ["http-connect-timeout"] COUNT, Sockets, Common, "0.2.0",
        Accepted("the workers take HTTP themselves, there is nothing to connect to");

    /// how many bytes the HTTP proxy reads at a time
    ["http-buffer-size"] COUNT, Sockets, Common, "0.2.0",
        Accepted("there is no proxy; `buffer-size` bounds the head of a request");

    /// answers without a length in chunked coding
    ["http-auto-chunked"] Switch, Sockets, Common, "0.2.0",
        Accepted("to clients of HTTP/1.1 they always leave so"), uwsgi "off";

    /// hands the body of every method on
    ["http-raw-body"] Switch, Sockets, Common, "0.2.0",
        Accepted("a body is always handed on, whatever the method"), uwsgi "off";

    /// takes chunked bodies
    ["http-chunked-input"] Switch, Sockets, Common, "0.2.0",
        Accepted("they always are taken; `wsgi.input` reads them"), uwsgi "off";
}
