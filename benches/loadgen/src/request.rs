//! The bytes of a request, made once before the clock starts.
//!
//! Called by `main`; `driver` only sends what is here. A set holds many variants of one request, equal
//! in shape and length but different in the values that differ between the clients of a real site, so that a
//! server that remembers the last request is paid for no more than it would gain there.

/// Protocol a request is spoken in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// uwsgi packet, modifiers 0/0, one connection per request as nginx does by default.
    Uwsgi,
    /// HTTP/1.1.
    Http {
        /// Ask the server to keep the connection.
        keep_alive: bool,
    },
}

/// How many variables nginx would send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variables {
    /// `uwsgi_params` and the host.
    Fourteen,
    /// The same with the headers of a browser behind one more proxy.
    Forty,
}

/// What to ask for.
#[derive(Clone, Debug)]
pub struct Wish {
    /// Protocol and connection handling.
    pub protocol: Protocol,
    /// Number of variables, or of HTTP headers accordingly.
    pub variables: Variables,
    /// Path and query.
    pub uri: String,
    /// Size of the body in bytes; more than 0 makes it a POST.
    pub body: usize,
}

/// Prebuilt heads and the body they share.
pub struct Requests {
    heads: Vec<Vec<u8>>,
    body: Vec<u8>,
}

impl Requests {
    /// Builds `variants` heads for `wish`. Fails when the variables do not fit in a uwsgi packet.
    pub fn build(wish: &Wish, variants: usize) -> Result<Self, String> {
        let heads = (0..variants.max(1))
            .map(|variant| match wish.protocol {
                Protocol::Uwsgi => wish.packet(variant),
                Protocol::Http { keep_alive } => Ok(wish.http_head(variant, keep_alive)),
            })
            .collect::<Result<_, _>>()?;
        Ok(Self {
            heads,
            body: vec![b'x'; wish.body],
        })
    }

    /// Head number `index`; indexes wrap around.
    pub fn head(&self, index: usize) -> &[u8] {
        &self.heads[index % self.heads.len()]
    }

    /// The body, empty for a GET.
    pub fn body(&self) -> &[u8] {
        &self.body
    }
}

impl Wish {
    fn packet(&self, variant: usize) -> Result<Vec<u8>, String> {
        let mut vars = Vec::with_capacity(4096);
        for (key, value) in self.nginx_variables(variant) {
            for part in [key.as_str(), value.as_str()] {
                let length = u16::try_from(part.len())
                    .map_err(|_| format!("`{key}` is longer than 65535 bytes"))?;
                vars.extend_from_slice(&length.to_le_bytes());
                vars.extend_from_slice(part.as_bytes());
            }
        }
        let size = u16::try_from(vars.len())
            .map_err(|_| "the variables are longer than 65535 bytes".to_owned())?;
        let [low, high] = size.to_le_bytes();
        let mut packet = vec![0, low, high, 0];
        packet.append(&mut vars);
        Ok(packet)
    }

    fn http_head(&self, variant: usize, keep_alive: bool) -> Vec<u8> {
        let mut head = format!(
            "{} {} HTTP/1.1\r\nHost: bench.example.org\r\n",
            self.method(),
            self.uri
        );
        if self.body > 0 {
            head.push_str(&format!(
                "Content-Type: {BODY_TYPE}\r\nContent-Length: {}\r\n",
                self.body
            ));
        }
        if self.variables == Variables::Forty {
            for (name, value) in browser_headers(variant)
                .into_iter()
                .filter(|(name, _)| *name != "Connection")
            {
                head.push_str(&format!("{name}: {value}\r\n"));
            }
        }
        head.push_str(if keep_alive {
            "Connection: keep-alive\r\n\r\n"
        } else {
            "Connection: close\r\n\r\n"
        });
        head.into_bytes()
    }

    fn nginx_variables(&self, variant: usize) -> Vec<(String, String)> {
        let (path, query) = self.uri.split_once('?').unwrap_or((&self.uri, ""));
        let (content_type, content_length) = if self.body > 0 {
            (BODY_TYPE, self.body.to_string())
        } else {
            ("", String::new())
        };
        let port = (40_000 + variant % 20_000).to_string();
        let mut variables: Vec<(String, String)> = [
            ("QUERY_STRING", query),
            ("REQUEST_METHOD", self.method()),
            ("CONTENT_TYPE", content_type),
            ("CONTENT_LENGTH", &content_length),
            ("REQUEST_URI", &self.uri),
            ("PATH_INFO", path),
            ("DOCUMENT_ROOT", "/usr/share/nginx/html"),
            ("SERVER_PROTOCOL", "HTTP/1.1"),
            ("REQUEST_SCHEME", "https"),
            ("REMOTE_ADDR", &client_address(self.variables, variant)),
            ("REMOTE_PORT", &port),
            ("SERVER_PORT", "443"),
            ("SERVER_NAME", "bench.example.org"),
            ("HTTP_HOST", "bench.example.org"),
        ]
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into();
        if self.variables == Variables::Forty {
            variables.extend(browser_headers(variant).into_iter().map(|(name, value)| {
                (
                    format!("HTTP_{}", name.to_ascii_uppercase().replace('-', "_")),
                    value,
                )
            }));
        }
        variables
    }

    fn method(&self) -> &'static str {
        if self.body > 0 { "POST" } else { "GET" }
    }
}

const BODY_TYPE: &str = "application/octet-stream";

/// With few variables all requests come from one proxy; with many, each from another client.
fn client_address(variables: Variables, variant: usize) -> String {
    match variables {
        Variables::Fourteen => "203.0.113.100".to_owned(),
        Variables::Forty => format!("203.0.113.{}", 100 + variant % 100),
    }
}

/// The 26 headers that make 14 variables 40; four of the values differ between the variants.
fn browser_headers(variant: usize) -> Vec<(&'static str, String)> {
    let session = format!(
        "{:032x}",
        (variant as u128 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c834)
    );
    let cookie = format!(
        "sessionid={session}; csrftoken=Wq0Tt4bYkzHkXc7hVn2mPd9sJr5uLf3g; theme=dark; _ga=GA1.2.1122334455.1700000000"
    );
    let referer = format!(
        "https://bench.example.org/posts/{:04}/comments/",
        variant % 10_000
    );
    let etag = "\"5f3a9c1e-2b67\"".to_owned();
    let fixed = |value: &str| value.to_owned();
    vec![
        (
            "User-Agent",
            fixed(
                "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36",
            ),
        ),
        (
            "Accept",
            fixed(
                "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8",
            ),
        ),
        ("Accept-Encoding", fixed("gzip, deflate, br, zstd")),
        ("Accept-Language", fixed("en-GB,en;q=0.9,de;q=0.7")),
        ("Cache-Control", fixed("max-age=0")),
        ("Connection", fixed("keep-alive")),
        ("Cookie", cookie),
        ("DNT", fixed("1")),
        ("If-Modified-Since", fixed("Mon, 23 Nov 2026 10:00:00 GMT")),
        ("If-None-Match", etag),
        ("Priority", fixed("u=0, i")),
        ("Referer", referer),
        (
            "Sec-CH-UA",
            fixed("\"Chromium\";v=\"131\", \"Not_A Brand\";v=\"24\""),
        ),
        ("Sec-CH-UA-Mobile", fixed("?0")),
        ("Sec-CH-UA-Platform", fixed("\"Linux\"")),
        ("Sec-Fetch-Dest", fixed("document")),
        ("Sec-Fetch-Mode", fixed("navigate")),
        ("Sec-Fetch-Site", fixed("same-origin")),
        ("Sec-Fetch-User", fixed("?1")),
        ("Upgrade-Insecure-Requests", fixed("1")),
        ("X-Forwarded-For", client_address(Variables::Forty, variant)),
        ("X-Forwarded-Host", fixed("bench.example.org")),
        ("X-Forwarded-Port", fixed("443")),
        ("X-Forwarded-Proto", fixed("https")),
        ("X-Real-IP", fixed("203.0.113.9")),
        ("X-Request-ID", session),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wish(protocol: Protocol, variables: Variables, body: usize) -> Wish {
        Wish {
            protocol,
            variables,
            uri: "/a?b=c".to_owned(),
            body,
        }
    }

    fn decode(packet: &[u8]) -> Vec<(String, String)> {
        assert_eq!((packet[0], packet[3]), (0, 0));
        assert_eq!(
            usize::from(u16::from_le_bytes([packet[1], packet[2]])),
            packet.len() - 4
        );
        let mut rest = &packet[4..];
        let mut text = || {
            let length = usize::from(u16::from_le_bytes([rest[0], rest[1]]));
            let value = String::from_utf8(rest[2..2 + length].to_vec()).unwrap();
            rest = &rest[2 + length..];
            (value, rest.is_empty())
        };
        let mut variables = Vec::new();
        loop {
            let (key, _) = text();
            let (value, last) = text();
            variables.push((key, value));
            if last {
                return variables;
            }
        }
    }

    #[test]
    fn packets_hold_fourteen_and_forty_distinct_variables() {
        for (variables, count) in [(Variables::Fourteen, 14), (Variables::Forty, 40)] {
            let found = decode(&wish(Protocol::Uwsgi, variables, 0).packet(7).unwrap());
            assert_eq!(found.len(), count);
            let keys: std::collections::BTreeSet<_> = found.iter().map(|(key, _)| key).collect();
            assert_eq!(keys.len(), count);
            assert!(found.contains(&("QUERY_STRING".to_owned(), "b=c".to_owned())));
            assert!(found.contains(&("PATH_INFO".to_owned(), "/a".to_owned())));
        }
    }

    #[test]
    fn variants_differ_in_one_and_six_values_and_never_in_length() {
        for (variables, differing) in [(Variables::Fourteen, 1), (Variables::Forty, 6)] {
            let wish = wish(Protocol::Uwsgi, variables, 0);
            let (first, second) = (wish.packet(0).unwrap(), wish.packet(1).unwrap());
            assert_eq!(first.len(), second.len());
            let changed = decode(&first)
                .iter()
                .zip(decode(&second))
                .filter(|(a, b)| a.1 != b.1)
                .count();
            assert_eq!(changed, differing);
        }
    }

    #[test]
    fn a_body_makes_it_a_post_with_its_length() {
        let requests =
            Requests::build(&wish(Protocol::Uwsgi, Variables::Fourteen, 1000), 2).unwrap();
        let found = decode(requests.head(5));
        assert!(found.contains(&("REQUEST_METHOD".to_owned(), "POST".to_owned())));
        assert!(found.contains(&("CONTENT_LENGTH".to_owned(), "1000".to_owned())));
        assert_eq!(requests.body().len(), 1000);
    }

    #[test]
    fn http_heads_end_and_name_the_connection_once() {
        for keep_alive in [true, false] {
            let head =
                wish(Protocol::Http { keep_alive }, Variables::Forty, 5).http_head(0, keep_alive);
            let head = String::from_utf8(head).unwrap();
            assert!(head.starts_with("POST /a?b=c HTTP/1.1\r\nHost: "));
            assert!(head.ends_with("\r\n\r\n"));
            assert_eq!(head.matches("Connection: ").count(), 1);
            assert_eq!(head.contains("Connection: keep-alive"), keep_alive);
        }
    }

    #[test]
    fn an_uri_too_long_for_the_packet_is_refused() {
        let mut wish = wish(Protocol::Uwsgi, Variables::Fourteen, 0);
        wish.uri = "/".repeat(70_000);
        assert!(Requests::build(&wish, 1).is_err());
    }
}
