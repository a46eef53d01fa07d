//! What the log says of a request, and its line in uWSGI's default format.
//!
//! Called by `worker` once a request. Writes into a buffer that the core keeps, in one pass and
//! without `fmt`; [`super::emit`] then writes it out. `format` and `json` write the same facts in
//! other ways.

use super::clock::Clock;
use crate::proto::request::{Front, Known, Request};

/// The most bytes that a field takes in the line. Together they keep a line below 4096 bytes, up
/// to which a write to a pipe is never torn, and leave of a request what tells who sent it. (uWSGI
/// leaves address, method and URI out of a longer line.)
pub(super) mod most {
    pub const ADDRESS: usize = 64;
    pub const USER: usize = 128;
    pub const METHOD: usize = 32;
    pub const URI: usize = 3200;
    pub const PROTOCOL: usize = 32;
}

/// What the log can say of one answered request.
#[derive(Debug)]
pub struct RequestLine<'a> {
    /// The worker's process id.
    pub pid: u32,
    /// The worker's number.
    pub worker: usize,
    /// The app's number; -1 where no app was called.
    pub app: i32,
    /// Requests of this worker so far, this one included.
    pub worker_requests: u64,
    /// Requests of the instance so far, this one included.
    pub total_requests: u64,
    /// The request.
    pub request: &'a Request,
    /// When it began, microseconds since the epoch.
    pub started: i64,
    /// How long it took, microseconds.
    pub micros: u64,
    /// The response's status.
    pub status: u16,
    /// Bytes of the response's body.
    pub body_bytes: u64,
    /// Header fields of the response.
    pub head_count: u32,
    /// Bytes of the response's head, its status line and its last empty line included.
    pub head_bytes: usize,
    /// The core that served it.
    pub core: usize,
    /// Whether the body was a file that the kernel sent.
    pub by_file: bool,
    /// Whether the request's body could not be read to its end.
    pub read_failed: bool,
    /// Whether the response could not be written to its end.
    pub write_failed: bool,
    /// Bytes of address space and of memory the worker has (uWSGI: `--memory-report`).
    pub memory: Option<(u64, u64)>,
    /// X-Forwarded-For stands for the client's address (uWSGI: `--log-x-forwarded-for`).
    pub forwarded_for: bool,
    /// Names and values that the app gave the request (uWSGI: `uwsgi.set_logvar`).
    pub app_vars: &'a [(Vec<u8>, Vec<u8>)],
    /// The app wants the line whatever else is said (uWSGI: `uwsgi.log_this_request`).
    pub forced: bool,
    /// The duration is said in microseconds (uWSGI: `--log-micros`).
    pub in_micros: bool,
}

impl RequestLine<'_> {
    /// Appends the line, with its line end. What came from the client can't break out of the line:
    /// its control bytes are written as `\x0A`.
    pub fn write_to(&self, out: &mut Vec<u8>, clock: &mut Clock) {
        let known = |which| self.request.known(which).unwrap_or_default();
        if let Some((space, resident)) = self.memory {
            for (name, bytes) in [("{address space usage: ", space), ("{rss usage: ", resident)] {
                out.extend_from_slice(name.as_bytes());
                number(out, bytes);
                out.extend_from_slice(b" bytes/");
                number(out, bytes >> 20);
                out.extend_from_slice(b"MB} ");
            }
        }
        out.extend_from_slice(b"[pid: ");
        number(out, self.pid.into());
        out.extend_from_slice(b"|app: ");
        if self.app < 0 {
            out.extend_from_slice(b"-1|req: -1/");
        } else {
            number(out, self.app.unsigned_abs().into());
            out.extend_from_slice(b"|req: ");
            number(out, self.worker_requests);
            out.push(b'/');
        }
        number(out, self.total_requests);
        out.extend_from_slice(b"] ");
        text(out, self.address(), most::ADDRESS);
        out.extend_from_slice(b" (");
        text(out, known(Known::RemoteUser), most::USER);
        out.extend_from_slice(b") {");
        // uWSGI counts names and values.
        number(out, self.request.len() as u64 * 2);
        out.extend_from_slice(b" vars in ");
        number(out, self.packet_bytes());
        out.extend_from_slice(b" bytes} [");
        out.extend_from_slice(clock.date(self.started.div_euclid(1_000_000)));
        out.extend_from_slice(b"] ");
        text(out, known(Known::RequestMethod), most::METHOD);
        out.push(b' ');
        text(out, known(Known::RequestUri), most::URI);
        out.extend_from_slice(b" => generated ");
        number(out, self.body_bytes);
        out.extend_from_slice(b" bytes in ");
        match self.in_micros {
            true => {
                number(out, self.micros);
                out.extend_from_slice(b" micros");
            }
            false => {
                number(out, self.micros / 1000);
                out.extend_from_slice(b" msecs");
            }
        }
        if self.by_file {
            out.extend_from_slice(b" via sendfile()");
        }
        out.extend_from_slice(b" (");
        text(out, known(Known::ServerProtocol), most::PROTOCOL);
        out.push(b' ');
        number(out, self.status.into());
        out.extend_from_slice(b") ");
        number(out, self.head_count.into());
        out.extend_from_slice(b" headers in ");
        number(out, self.head_bytes as u64);
        // A request is served in one go: there is nothing to switch between.
        out.extend_from_slice(b" bytes (1 switches on core ");
        number(out, self.core as u64);
        out.extend_from_slice(b")\n");
    }

    /// Who asks.
    pub(super) fn address(&self) -> &[u8] {
        let forwarded = self.forwarded_for.then(|| self.request.var(b"HTTP_X_FORWARDED_FOR")).flatten();
        forwarded.or(self.request.known(Known::RemoteAddr)).unwrap_or_default()
    }

    /// Bytes of the uwsgi packet that holds the variables, which uWSGI makes of HTTP requests, too.
    pub(super) fn packet_bytes(&self) -> u64 {
        match self.request.front {
            Front::Uwsgi | Front::Scgi | Front::Fastcgi(_) => self.request.head_size as u64,
            Front::Http10 | Front::Http11 => {
                self.request.vars().map(|(key, value)| (key.len() + value.len() + 4) as u64).sum()
            }
        }
    }
}

/// Appends what a client sent, `most` bytes of it at the most; a cut shows as `...`.
pub(super) fn text(out: &mut Vec<u8>, bytes: &[u8], most: usize) {
    const CUT: &[u8] = b"...";
    if bytes.len() <= most && !bytes.iter().any(u8::is_ascii_control) {
        out.extend_from_slice(bytes);
        return;
    }
    let end = out.len() + most;
    for byte in bytes {
        let mut escaped = *b"\\x00";
        let piece = if byte.is_ascii_control() {
            const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
            escaped[2] = DIGITS[usize::from(byte >> 4)];
            escaped[3] = DIGITS[usize::from(byte & 15)];
            &escaped[..]
        } else {
            std::slice::from_ref(byte)
        };
        if out.len() + piece.len() + CUT.len() > end {
            out.extend_from_slice(CUT);
            return;
        }
        out.extend_from_slice(piece);
    }
}

/// Appends a number in decimal.
pub(super) fn number(out: &mut Vec<u8>, mut number: u64) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        // A remainder of ten fits.
        digits[at] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::log::clock::CTIME;
    use jiff::tz::TimeZone;

    pub(crate) fn request(vars: &[(&str, &[u8])]) -> Request {
        let mut request = Request::new();
        for (key, value) in vars {
            request.push(key.as_bytes(), value).unwrap();
        }
        request.head_size = 142;
        request
    }

    /// What a request may leave behind.
    pub(crate) fn facts(request: &Request) -> RequestLine<'_> {
        RequestLine {
            pid: 26854,
            worker: 1,
            app: 0,
            worker_requests: 1,
            total_requests: 8,
            request,
            started: 1_795_466_608_000_000,
            micros: 999,
            status: 200,
            body_bytes: 10,
            head_count: 1,
            head_bytes: 45,
            core: 0,
            by_file: false,
            read_failed: false,
            write_failed: false,
            memory: None,
            forwarded_for: false,
            in_micros: false,
            app_vars: &[],
            forced: false,
        }
    }

    fn line(request: &Request, change: impl FnOnce(&mut RequestLine<'_>)) -> String {
        let mut line = facts(request);
        change(&mut line);
        let mut out = Vec::new();
        line.write_to(&mut out, &mut Clock::in_zone(CTIME, TimeZone::UTC));
        String::from_utf8_lossy(&out).into_owned()
    }

    const VARS: [(&str, &[u8]); 5] = [
        ("REQUEST_METHOD", b"GET"),
        ("REQUEST_URI", b"/?a=1"),
        ("SERVER_PROTOCOL", b"HTTP/1.1"),
        ("REMOTE_ADDR", b"10.1.2.3"),
        ("REMOTE_USER", b"bob"),
    ];

    #[test]
    fn is_the_line_of_uwsgi() {
        assert_eq!(
            line(&request(&VARS), |_| {}),
            "[pid: 26854|app: 0|req: 1/8] 10.1.2.3 (bob) {10 vars in 142 bytes} [Mon Nov 23 20:43:28 2026] \
             GET /?a=1 => generated 10 bytes in 0 msecs (HTTP/1.1 200) 1 headers in 45 bytes (1 switches on core 0)\n"
        );
        assert_eq!(
            line(&request(&[]), |line| {
                line.app = -1;
                line.micros = 1_234_567;
                line.status = 500;
                line.total_requests = u64::MAX;
                line.core = 12;
            }),
            "[pid: 26854|app: -1|req: -1/18446744073709551615]  () {0 vars in 142 bytes} [Mon Nov 23 20:43:28 2026] \
              \u{20}\u{20}=> generated 10 bytes in 1234 msecs ( 500) 1 headers in 45 bytes (1 switches on core 12)\n"
        );
    }

    /// What uWSGI 2.0.31 wrote for this packet, answered with two header fields.
    #[test]
    fn is_what_uwsgi_wrote_for_the_same_packet() {
        let vars: [(&str, &str); 7] = [
            ("REQUEST_METHOD", "GET"),
            ("REQUEST_URI", "/?a=1"),
            ("PATH_INFO", "/"),
            ("QUERY_STRING", "a=1"),
            ("SERVER_PROTOCOL", "HTTP/1.1"),
            ("REMOTE_ADDR", "10.1.2.3"),
            ("REMOTE_USER", "bob"),
        ];
        let mut packet = vec![0, 142, 0, 0];
        for text in vars.iter().flat_map(|(name, value)| [name, value]) {
            packet.extend([text.len() as u8, 0]);
            packet.extend(text.as_bytes());
        }
        let mut request = Request::new();
        crate::proto::uwsgi::parse(&packet, 4096, &mut request).unwrap();
        let line = line(&request, |line| {
            (line.pid, line.total_requests, line.started) = (1661, 1, 1_795_477_542_000_000);
            (line.head_count, line.head_bytes) = (2, 53);
        });
        assert_eq!(
            line,
            "[pid: 1661|app: 0|req: 1/1] 10.1.2.3 (bob) {14 vars in 142 bytes} [Mon Nov 23 23:45:42 2026] \
             GET /?a=1 => generated 10 bytes in 0 msecs (HTTP/1.1 200) 2 headers in 53 bytes (1 switches on core 0)\n"
        );
    }

    #[test]
    fn a_head_of_http_counts_as_the_packet_it_would_be() {
        let mut request = request(&[("REQUEST_METHOD", b"GET"), ("REQUEST_URI", b"/")]);
        request.front = Front::Http11;
        assert!(line(&request, |_| {}).contains("{4 vars in 37 bytes}"));
    }

    #[test]
    fn no_client_forges_a_line() {
        let forged = request(&[
            ("REQUEST_METHOD", b"G\x1bT"),
            ("REQUEST_URI", b"/a\"b\\\x01\r\n[pid: 1|\x7f\xc3\xa9"),
            ("REMOTE_USER", b"\n\0"),
        ]);
        let line = line(&forged, |_| {});
        assert_eq!(line.matches(|c: char| c.is_control()).count(), 1, "{line:?}");
        assert!(line.contains("] G\\x1BT /a\"b\\\\x01\\x0D\\x0A[pid: 1|\\x7Fé => "), "{line}");
        assert!(line.contains(" (\\x0A\\x00) "), "{line}");
    }

    #[test]
    fn no_line_is_longer_than_a_pipe_takes_whole() {
        for byte in [b'x', b'\n'] {
            let long = vec![byte; 10_000];
            let names = ["REQUEST_METHOD", "REQUEST_URI", "SERVER_PROTOCOL", "REMOTE_ADDR", "REMOTE_USER"];
            let request = request(&names.map(|name| (name, &long[..])));
            let line = line(&request, |line| {
                line.pid = u32::MAX;
                line.app = i32::MAX;
                (line.worker_requests, line.total_requests) = (u64::MAX, u64::MAX);
                (line.micros, line.body_bytes, line.head_bytes) = (u64::MAX, u64::MAX, usize::MAX);
                (line.head_count, line.core, line.status) = (u32::MAX, usize::MAX, u16::MAX);
            });
            assert!(line.len() < 4096, "{}", line.len());
            assert_eq!(line.matches("...").count(), 5);
            assert!(line.ends_with(")\n"));
        }
        let fits = vec![b'/'; most::URI];
        let line = line(&request(&[("REQUEST_URI", &fits)]), |_| {});
        assert!(!line.contains("..."));
    }

    #[test]
    fn memory_and_microseconds_and_the_forwarded_address_stand_in_their_places() {
        let mut forwarded = request(&VARS);
        forwarded.push(b"HTTP_X_FORWARDED_FOR", b"1.2.3.4, 5.6.7.8").unwrap();
        let line = line(&forwarded, |line| {
            line.memory = Some((58_167_296, 11_284_480));
            (line.forwarded_for, line.in_micros, line.by_file) = (true, true, true);
        });
        assert!(
            line.starts_with(
                "{address space usage: 58167296 bytes/55MB} {rss usage: 11284480 bytes/10MB} [pid: 26854|"
            )
        );
        assert!(line.contains("] 1.2.3.4, 5.6.7.8 (bob) {"), "{line}");
        assert!(line.contains(" in 999 micros via sendfile() (HTTP/1.1 200) "), "{line}");
    }
}
