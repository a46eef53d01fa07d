//! The request line as one JSON object (`log-json`), valid whatever the client sent.
//!
//! Called by `worker` once a request in place of the default line. Values that a client sends are
//! text: what is not UTF-8 in them shows as U+FFFD.

use std::borrow::Cow;

use serde::Serialize;

use super::request::RequestLine;
use crate::proto::request::Known;

/// The longest text of a client's that stands in a line, bytes.
const LONGEST: usize = 3200;

/// The object's fields, in order.
#[derive(Serialize)]
struct Fields<'a> {
    /// Seconds since the epoch at which the request began.
    time: f64,
    pid: u32,
    worker: usize,
    core: usize,
    request_id: Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    traceparent: Option<Cow<'a, str>>,
    addr: Cow<'a, str>,
    #[serde(skip_serializing_if = "str::is_empty")]
    user: Cow<'a, str>,
    host: Cow<'a, str>,
    method: Cow<'a, str>,
    uri: Cow<'a, str>,
    protocol: Cow<'a, str>,
    status: u16,
    /// Seconds it took.
    duration: f64,
    head_bytes: usize,
    body_bytes: u64,
    user_agent: Cow<'a, str>,
    referer: Cow<'a, str>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    read_failed: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    write_failed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    rss: Option<u64>,
}

/// Appends the line, with its line end. The request's id is the client's X-Request-ID, or worker,
/// core and number of the request.
pub fn write_to(line: &RequestLine<'_>, out: &mut Vec<u8>) {
    let known = |which| said(line.request.known(which).unwrap_or_default());
    let var = |name: &[u8]| line.request.var(name).filter(|value| !value.is_empty()).map(said);
    let made = || Cow::Owned(format!("{}-{}-{}", line.pid, line.core, line.worker_requests));
    let fields = Fields {
        time: line.started as f64 / 1e6,
        pid: line.pid,
        worker: line.worker,
        core: line.core,
        request_id: var(b"HTTP_X_REQUEST_ID").unwrap_or_else(made),
        traceparent: var(b"HTTP_TRACEPARENT"),
        addr: said(line.address()),
        user: known(Known::RemoteUser),
        host: known(Known::HttpHost),
        method: known(Known::RequestMethod),
        uri: known(Known::RequestUri),
        protocol: known(Known::ServerProtocol),
        status: line.status,
        duration: line.micros as f64 / 1e6,
        head_bytes: line.head_bytes,
        body_bytes: line.body_bytes,
        user_agent: known(Known::HttpUserAgent),
        referer: known(Known::HttpReferer),
        read_failed: line.read_failed,
        write_failed: line.write_failed,
        rss: line.memory.map(|(_, resident)| resident),
    };
    // Strings and numbers into memory: nothing of it can fail.
    let _ = serde_json::to_writer(&mut *out, &fields);
    out.push(b'\n');
}

fn said(bytes: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(&bytes[..bytes.len().min(LONGEST)])
}

#[cfg(test)]
mod tests {
    use super::super::request::tests::{facts, request};
    use super::*;

    #[test]
    fn whatever_a_client_sends_is_one_line_of_valid_json() {
        let every: Vec<u8> = (0..=255).collect();
        let names = ["REQUEST_METHOD", "REQUEST_URI", "HTTP_USER_AGENT", "REMOTE_ADDR", "HTTP_X_REQUEST_ID"];
        let request = request(&names.map(|name| (name, &every[..])));
        let mut out = Vec::new();
        write_to(&facts(&request), &mut out);
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text.matches(['\n', '\r']).count(), 1, "{text:?}");
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["uri"], String::from_utf8_lossy(&every).as_ref());
        assert_eq!((value["status"].as_u64(), value["user"].as_str()), (Some(200), None));
    }

    #[test]
    fn a_request_has_an_id_its_own_or_the_clients() {
        let line = |vars: &[(&str, &[u8])]| -> serde_json::Value {
            let request = request(vars);
            let mut out = Vec::new();
            write_to(&facts(&request), &mut out);
            serde_json::from_slice(&out).unwrap()
        };
        assert_eq!(line(&[])["request_id"], "26854-0-1");
        let sent = line(&[("HTTP_X_REQUEST_ID", b"abc"), ("HTTP_TRACEPARENT", b"00-1-2-01")]);
        assert_eq!((sent["request_id"].as_str(), sent["traceparent"].as_str()), (Some("abc"), Some("00-1-2-01")));
    }
}
