//! Serving the figures: one document a connection, or HTTP with metrics, probes and the live page.
//!
//! Tasks of the master's runtime. Clients are bounded in number and in time, and the master's loop
//! never waits for one: a reader that does not read costs a place here and nothing else.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::{Mutex, Semaphore, mpsc, oneshot};
use tokio::time::{Instant, sleep, timeout};

use super::super::events::Event;
use crate::stats::{PAGE, Snapshot, prometheus};

/// How long a client may take to ask, and then to read.
const PATIENCE: Duration = Duration::from_secs(4);
/// How long the master's loop may take to answer before it counts as hanging.
const HANGING: Duration = Duration::from_secs(2);
/// How long a client may take to close.
const LINGER: Duration = Duration::from_secs(1);
/// How long a socket rests when there is no descriptor for a client.
const PAUSE: Duration = Duration::from_millis(100);
/// How often the live page is told.
const BEAT: Duration = Duration::from_secs(1);
/// Clients at a time on one socket. The others wait to be accepted.
const CLIENTS: usize = 64;
/// How many of them may watch the live page.
const WATCHERS: usize = 16;
/// The longest head of a request, bytes.
const LONGEST: usize = 8192;

/// How a socket is served.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    /// Its name in the log.
    pub name: &'static str,
    /// Whether the stats document is served; metrics and probes only otherwise.
    pub document: bool,
    /// Whether HTTP is spoken (uWSGI: `--stats-http`).
    pub http: bool,
    /// uWSGI: `--stats-minified`.
    pub minified: bool,
    /// Not with `--stats-no-cores`.
    pub cores: bool,
}

/// Serves figures for as long as the task lives. Called inside the runtime.
pub async fn serve(listener: OwnedFd, is_tcp: bool, terms: Terms, events: mpsc::Sender<Event>) {
    let door = match Door::new(listener, is_tcp) {
        Ok(door) => door,
        Err(error) => return tracing::error!("no {} are served: {error}", terms.name),
    };
    let (room, seats) = (Arc::new(Semaphore::new(CLIENTS)), Arc::new(Semaphore::new(WATCHERS)));
    let open = Arc::new(());
    let shelf = Arc::new(Mutex::new(None));
    while let Ok(place) = Arc::clone(&room).acquire_owned().await {
        match door.accept().await {
            Ok(client) => {
                let host = Host {
                    terms,
                    events: events.clone(),
                    shelf: Arc::clone(&shelf),
                    seats: Arc::clone(&seats),
                    open: Arc::downgrade(&open),
                };
                tokio::spawn(async move {
                    host.receive(client).await;
                    drop(place);
                });
            }
            // Descriptors run out, which passes.
            Err(_) => sleep(PAUSE).await,
        }
    }
}

/// A connection of either kind.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl Stream for tokio::net::TcpStream {}
impl Stream for tokio::net::UnixStream {}

type Client = Box<dyn Stream>;

enum Door {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Door {
    fn new(fd: OwnedFd, is_tcp: bool) -> io::Result<Self> {
        Ok(if is_tcp {
            Self::Tcp(TcpListener::from_std(fd.into())?)
        } else {
            Self::Unix(UnixListener::from_std(fd.into())?)
        })
    }

    async fn accept(&self) -> io::Result<Client> {
        Ok(match self {
            Self::Tcp(listener) => Box::new(listener.accept().await?.0),
            Self::Unix(listener) => Box::new(listener.accept().await?.0),
        })
    }
}

/// What serving one client takes.
struct Host {
    terms: Terms,
    events: mpsc::Sender<Event>,
    /// The document that was made last.
    shelf: Arc<Mutex<Option<Made>>>,
    /// Places for those who watch the page.
    seats: Arc<Semaphore>,
    /// Gone when the socket is not served any more.
    open: Weak<()>,
}

/// A document, and when the making of it began: who asked before that may have it.
struct Made {
    began: Instant,
    document: Arc<Vec<u8>>,
}

/// An answer to an HTTP request.
struct Answer {
    status: &'static str,
    kind: &'static str,
    /// Further header lines.
    more: &'static str,
    body: Vec<u8>,
}

impl Host {
    async fn receive(&self, mut client: Client) {
        if self.terms.http {
            self.answer(&mut client).await;
        } else if let Some(document) = self.document().await {
            deliver(&mut client, &document).await;
        }
        // What a client still sends would destroy what is on its way to it.
        let _ = timeout(LINGER, async {
            client.shutdown().await?;
            tokio::io::copy(&mut (&mut client).take(LONGEST as u64), &mut tokio::io::sink()).await
        })
        .await;
    }

    /// Asks the master's loop how the instance is.
    async fn look(&self) -> Option<Snapshot> {
        let (asker, snapshot) = oneshot::channel();
        let asked = async {
            self.events.send(Event::Looked(asker)).await.ok()?;
            snapshot.await.ok()
        };
        timeout(HANGING, asked).await.ok().flatten()
    }

    /// The document as it is now. Clients that come together get the same one: a crowd of them costs
    /// the master two.
    async fn document(&self) -> Option<Arc<Vec<u8>>> {
        let asked = Instant::now();
        let mut shelf = self.shelf.lock().await;
        if let Some(made) = shelf.as_ref().filter(|made| made.began >= asked) {
            return Some(Arc::clone(&made.document));
        }
        let began = Instant::now();
        let snapshot = self.look().await?;
        let document = if self.terms.cores { snapshot.stats } else { snapshot.stats.without_cores() };
        let document = Arc::new(if self.terms.minified { document.minified() } else { document.tabbed() }.ok()?);
        *shelf = Some(Made { began, document: Arc::clone(&document) });
        Some(document)
    }

    /// One request over HTTP.
    async fn answer(&self, client: &mut Client) {
        let Ok(Some(request)) = timeout(PATIENCE, Request::read(client)).await else { return };
        if self.terms.document && request.path == "/events" {
            return self.stream(client).await;
        }
        let answer = if self.terms.document && request.path == "/" && request.wants_page {
            Answer { status: "200 OK", kind: "text/html; charset=utf-8", more: PAGE_ONLY, body: PAGE.into() }
        } else {
            self.choose(&request.path)
                .await
                .unwrap_or_else(|| Answer::text("503 Service Unavailable", "the master does not answer\n"))
        };
        let Answer { status, kind, more, body } = answer;
        let head = format!(
            "HTTP/1.0 {status}\r\nConnection: close\r\n{more}Cache-Control: no-store\r\nContent-Length: {}\r\n\
             Content-Type: {kind}\r\n\r\n",
            body.len()
        );
        let body = if request.is_head { &[] } else { body.as_slice() };
        deliver(client, &[head.as_bytes(), body].concat()).await;
    }

    /// What is at a path; `None` where the master does not answer.
    async fn choose(&self, path: &str) -> Option<Answer> {
        Some(match path {
            "/metrics" => {
                let body = self.look().await?.prometheus().into_bytes();
                Answer { status: "200 OK", kind: prometheus::TYPE, more: "", body }
            }
            "/live" => self.look().await.map(|_| Answer::text("200 OK", "alive\n"))?,
            "/ready" => match self.look().await?.life {
                life if life.ready => Answer::text("200 OK", "ready\n"),
                life => Answer::text("503 Service Unavailable", &format!("{}\n", life.state)),
            },
            // uWSGI does not look at the path.
            _ if self.terms.document => {
                let body = self.document().await?.to_vec();
                Answer { status: "200 OK", kind: "application/json", more: "Access-Control-Allow-Origin: *\r\n", body }
            }
            _ => Answer::text("404 Not Found", "there are /metrics, /live and /ready\n"),
        })
    }

    /// Tells a page how the instance is, again and again.
    async fn stream(&self, client: &mut Client) {
        let Ok(_seat) = self.seats.try_acquire() else {
            return deliver(client, b"HTTP/1.0 503 Service Unavailable\r\nConnection: close\r\n\r\n").await;
        };
        let head = b"HTTP/1.0 200 OK\r\nConnection: close\r\nCache-Control: no-store\r\n\
                     Content-Type: text/event-stream\r\n\r\nretry: 1000\n\n";
        if send(client, head).await.is_err() {
            return;
        }
        while self.open.strong_count() > 0 {
            let Some(line) = self.look().await.and_then(|snapshot| snapshot.line().ok()) else { return };
            if send(client, format!("data: {line}\n\n").as_bytes()).await.is_err() {
                return;
            }
            // It says nothing more: what can be read is its end.
            if timeout(BEAT, client.read(&mut [0])).await.is_ok() {
                return;
            }
        }
    }
}

/// The page loads nothing, and may ask its own server only.
const PAGE_ONLY: &str = "Content-Security-Policy: default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; \
                         connect-src 'self'; img-src data:; frame-ancestors 'none'; base-uri 'none'\r\n\
                         X-Content-Type-Options: nosniff\r\nReferrer-Policy: no-referrer\r\n";

impl Answer {
    fn text(status: &'static str, text: &str) -> Self {
        Self { status, kind: "text/plain; charset=utf-8", more: "", body: text.as_bytes().to_vec() }
    }
}

/// What matters of a request.
struct Request {
    path: String,
    wants_page: bool,
    is_head: bool,
}

impl Request {
    /// Reads the head of a request; `None` for what is none.
    async fn read(client: &mut Client) -> Option<Self> {
        let mut bytes = Vec::with_capacity(1024);
        loop {
            let (mut chunk, left) = ([0; 1024], LONGEST.saturating_sub(bytes.len()));
            let count = client.read(&mut chunk[..left.min(1024)]).await.ok().filter(|count| *count > 0)?;
            bytes.extend_from_slice(&chunk[..count]);
            let mut headers = [httparse::EMPTY_HEADER; 64];
            let mut request = httparse::Request::new(&mut headers);
            if request.parse(&bytes).ok()?.is_partial() {
                continue;
            }
            let path = request.path?.split(['?', '#']).next()?.to_owned();
            let accept = request.headers.iter().find(|header| header.name.eq_ignore_ascii_case("accept"));
            let wants_page = accept.is_some_and(|header| String::from_utf8_lossy(header.value).contains("text/html"));
            return Some(Self { path, wants_page, is_head: request.method == Some("HEAD") });
        }
    }
}

/// Writes it all, for as long as the client has patience with us and we with it.
async fn deliver(client: &mut Client, bytes: &[u8]) {
    // A client that left needs nothing.
    let _ = send(client, bytes).await;
}

async fn send(client: &mut Client, bytes: &[u8]) -> io::Result<()> {
    timeout(PATIENCE, client.write_all(bytes)).await?
}
