//! The request line, in uWSGI's default format.
//!
//! Called by `worker` once a request. Writes into a buffer that the core keeps, in one pass and
//! without `fmt`; [`super::emit`] then writes it out.

use jiff::Timestamp;
use jiff::tz::{Offset, TimeZone};

use crate::proto::request::{Front, Known, Request};

/// The most bytes that a field takes in the line. Together they keep a line below 4096 bytes, up
/// to which a write to a pipe is never torn, and leave of a request what tells who sent it. (uWSGI
/// leaves address, method and URI out of a longer line.)
mod most {
    pub const ADDRESS: usize = 64;
    pub const USER: usize = 128;
    pub const METHOD: usize = 32;
    pub const URI: usize = 3200;
    pub const PROTOCOL: usize = 32;
}

/// What the line of one answered request says.
#[derive(Debug)]
pub struct RequestLine<'a> {
    /// The worker's process id.
    pub pid: u32,
    /// The app's number; -1 where no app was called.
    pub app: i32,
    /// Requests of this worker so far, this one included.
    pub worker_requests: u64,
    /// Requests of the instance so far, this one included.
    pub total_requests: u64,
    /// The request.
    pub request: &'a Request,
    /// When it began, seconds since the epoch.
    pub started_epoch: i64,
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
}

impl RequestLine<'_> {
    /// Appends the line, with its line end. What came from the client can't break out of the line:
    /// its control bytes are written as `\x0A`.
    pub fn write_to(&self, out: &mut Vec<u8>, clock: &mut Clock) {
        let known = |which| self.request.known(which).unwrap_or_default();
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
        text(out, known(Known::RemoteAddr), most::ADDRESS);
        out.extend_from_slice(b" (");
        text(out, known(Known::RemoteUser), most::USER);
        out.extend_from_slice(b") {");
        // uWSGI counts names and values.
        number(out, self.request.len() as u64 * 2);
        out.extend_from_slice(b" vars in ");
        number(out, self.packet_bytes());
        out.extend_from_slice(b" bytes} [");
        out.extend_from_slice(clock.date(self.started_epoch));
        out.extend_from_slice(b"] ");
        text(out, known(Known::RequestMethod), most::METHOD);
        out.push(b' ');
        text(out, known(Known::RequestUri), most::URI);
        out.extend_from_slice(b" => generated ");
        number(out, self.body_bytes);
        out.extend_from_slice(b" bytes in ");
        number(out, self.micros / 1000);
        out.extend_from_slice(b" msecs (");
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

    /// Bytes of the uwsgi packet that holds the variables, which uWSGI makes of HTTP requests, too.
    fn packet_bytes(&self) -> u64 {
        match self.request.front {
            Front::Uwsgi => self.request.head_size as u64,
            Front::Http10 | Front::Http11 => {
                self.request.vars().map(|(key, value)| (key.len() + value.len() + 4) as u64).sum()
            }
        }
    }
}

/// Appends what a client sent, `most` bytes of it at the most; a cut shows as `...`.
fn text(out: &mut Vec<u8>, bytes: &[u8], most: usize) {
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
fn number(out: &mut Vec<u8>, mut number: u64) {
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

/// Local time as ctime(3) writes it, written once a second. A core keeps one.
#[derive(Debug)]
pub struct Clock {
    zone: TimeZone,
    second: i64,
    date: String,
}

impl Default for Clock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock {
    /// A clock in the time zone of this process as it is now. Made after the app was loaded, it has
    /// the app's zone, as in uWSGI: Django sets `TZ` to its `TIME_ZONE`.
    pub fn new() -> Self {
        jiff::tz::reset_system_time_zone_cache();
        Self::in_zone(TimeZone::system())
    }

    /// `second`, since the epoch, as `Mon Nov 23 20:43:28 2026`.
    pub fn date(&mut self, second: i64) -> &[u8] {
        if second != self.second {
            let time = Timestamp::from_second(second).unwrap_or_default();
            let local = self.offset(time).to_datetime(time);
            self.date = local.strftime("%a %b %e %H:%M:%S %Y").to_string();
            self.second = second;
        }
        self.date.as_bytes()
    }

    fn in_zone(zone: TimeZone) -> Self {
        // No time has this second.
        Self { zone, second: i64::MIN, date: String::new() }
    }

    fn offset(&self, time: Timestamp) -> Offset {
        self.zone.to_offset(time)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(vars: &[(&str, &[u8])]) -> Request {
        let mut request = Request::new();
        for (key, value) in vars {
            request.push(key.as_bytes(), value).unwrap();
        }
        request.head_size = 142;
        request
    }

    fn line(request: &Request, change: impl FnOnce(&mut RequestLine<'_>)) -> String {
        let mut line = RequestLine {
            pid: 26854,
            app: 0,
            worker_requests: 1,
            total_requests: 8,
            request,
            started_epoch: 1_795_466_608,
            micros: 999,
            status: 200,
            body_bytes: 10,
            head_count: 1,
            head_bytes: 45,
            core: 0,
        };
        change(&mut line);
        let mut out = Vec::new();
        line.write_to(&mut out, &mut Clock::in_zone(TimeZone::UTC));
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
            (line.pid, line.total_requests, line.started_epoch) = (1661, 1, 1_795_477_542);
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
    fn the_date_is_local_and_padded_as_ctime_does() {
        let mut clock = Clock::in_zone(TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap());
        for (second, date) in [
            (0, "Thu Jan  1 01:00:00 1970"),
            (1_795_466_608, "Mon Nov 23 21:43:28 2026"),
            (1_795_466_608, "Mon Nov 23 21:43:28 2026"),
            (1_792_889_999, "Sun Oct 25 02:59:59 2026"),
            (1_792_890_000, "Sun Oct 25 02:00:00 2026"),
        ] {
            assert_eq!(String::from_utf8_lossy(clock.date(second)), date);
        }
        assert_eq!(Clock::new().date(0).len(), 24);
    }
}
