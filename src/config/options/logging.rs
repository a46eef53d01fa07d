//! Logs: where lines go and what stands in them; rows that are built.
//!
//! Part of the option table, see `options`, which says what a row is.

use super::*;

options! {
    /// Logs: where lines go and what stands in them.
    pub struct Logging {}

    /// the form of the line for each request: `%(addr) %(method) %(uri) %(status)`
    /// Every name stands in docs/logging.md; `%(var.NAME)` is a variable of the request.
    ["log-format" "logformat"] Text, Logging, Common, "0.2.0", Works
        => log_format: Option<String> = None;

    /// has `%(ftime)` in the line for each request written the way `log-date` says
    ["logformat-strftime" "log-format-strftime"] Switch, Logging, Rare, "0.2.0", Works
        => logformat_strftime: bool = false;

    /// writes the line for each request as a JSON object
    /// The object is valid whatever a client sends; it has the request's id, X-Request-ID or one made.
    ["log-json"] Switch, Logging, Common, "0.2.0", Works
        => log_json: bool = false;

    /// puts the date in front of the server's own lines, in this strftime form
    /// Bare, the date is as ctime writes it. The lines of requests have a date anyway.
    ["log-date" "logdate" "log-prefix"] OptionalText, Logging, Common, "0.2.0", Works
        => log_date: Option<String> = None;

    /// gives durations in microseconds
    ["log-micros"] Switch, Logging, Common, "0.2.0", Works
        => log_micros: bool = false;

    /// logs X-Forwarded-For as the client's address
    ["log-x-forwarded-for"] Switch, Logging, Common, "0.2.0", Works
        => log_x_forwarded_for: bool = false;

    /// logs responses without a body even where requests are not logged
    ["log-zero"] Switch, Logging, Common, "0.2.0", Works
        => log_zero: bool = false;

    /// logs requests of at least so many milliseconds even where requests are not logged
    ["log-slow"] COUNT, Logging, Common, "0.2.0", Works
        => log_slow: u64 = 0;

    /// logs responses with a status of 400 to 499 even where requests are not logged
    ["log-4xx"] Switch, Logging, Common, "0.2.0", Works
        => log_4xx: bool = false;

    /// logs responses with a status of 500 to 599 even where requests are not logged
    ["log-5xx"] Switch, Logging, Common, "0.2.0", Works
        => log_5xx: bool = false;

    /// logs bodies of at least so many bytes even where requests are not logged
    ["log-big"] COUNT, Logging, Common, "0.2.0", Works
        => log_big: u64 = 0;

    /// logs responses that are files even where requests are not logged
    ["log-sendfile"] SwitchValue, Logging, Common, "0.2.0", Works
        => log_sendfile: bool = false;

    /// logs requests that failed to be read or written even where requests are not logged
    ["log-ioerror"] SwitchValue, Logging, Common, "0.2.0", Works
        => log_ioerror: bool = false;

    /// empties the log file at the start
    ["log-truncate"] Switch, Logging, Common, "0.2.0", Works
        => log_truncate: bool = false;

    /// rotates the log when it is larger than this many bytes
    ["log-maxsize"] COUNT, Logging, Common, "0.2.0", Works
        => log_maxsize: u64 = 0;

    /// moves the log to this file when it is rotated, in place of one named with the time
    ["log-backupname"] Text, Logging, Common, "0.2.0", Works
        => log_backupname: Option<String> = None;

    /// sets the permissions of the log file, as three or four octal digits
    ["logfile-chmod"] Umask, Logging, Rare, "0.2.0", Works
        => logfile_chmod: Option<u32> = None;

    /// adds the memory in use to the line of each request
    ["memory-report", 'm'] Switch, Watching, Common, "0.2.0", Works
        => memory_report: bool = false;
}
