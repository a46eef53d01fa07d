//! Tests of an exchange over a socket pair.

use super::*;
use std::io::Read;
use std::os::unix::net::UnixStream;

/// An exchange over a socket pair; the other end is the client.
fn exchange(front: Front, method: &str, body: Body) -> (Exchange, UnixStream) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    ours.set_nonblocking(true).unwrap();
    let mut request = Request::new();
    request.push(b"REQUEST_METHOD", method.as_bytes()).unwrap();
    request.front = front;
    request.keep_alive = front != Front::Uwsgi;
    request.body = body;
    let mut exchange = Exchange::new();
    exchange.begin(Stream::new(ours.into()), BytesMut::new(), &request, Duration::from_millis(200));
    (exchange, theirs)
}

fn answer(exchange: &mut Exchange, headers: &[(&str, &str)], chunks: &[&[u8]]) {
    exchange.head().start(b"200 OK").unwrap();
    for (name, value) in headers {
        exchange.head().header(name.as_bytes(), value.as_bytes()).unwrap();
    }
    for chunk in chunks {
        exchange.write(chunk).unwrap();
    }
    exchange.try_finish().unwrap();
}

fn received(exchange: &mut Exchange, mut client: UnixStream) -> String {
    drop(exchange.end());
    let mut text = String::new();
    client.read_to_string(&mut text).unwrap();
    text
}

#[test]
fn the_uwsgi_protocol_adds_nothing() {
    let (mut exchange, client) = exchange(Front::Uwsgi, "GET", Body::Length(0));
    answer(&mut exchange, &[("X", "y")], &[b"one", b"two"]);
    assert_eq!(exchange.body_bytes(), 6);
    assert_eq!(received(&mut exchange, client), "HTTP/1.0 200 OK\r\nX: y\r\n\r\nonetwo");
}

#[test]
fn http_without_length_is_chunked_and_stays_open() {
    let (mut exchange, mut client) = exchange(Front::Http11, "GET", Body::Length(0));
    answer(&mut exchange, &[], &[b"one", b"", b"two"]);
    assert!(matches!(exchange.end(), Some(End::KeepAlive(..))));
    let mut bytes = Vec::new();
    client.read_to_end(&mut bytes).unwrap();
    assert_eq!(
        String::from_utf8(bytes).unwrap(),
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n"
    );
}

#[test]
fn bodies_are_cut_at_their_length_and_aborted_short_of_it() {
    let (mut long, client) = exchange(Front::Http11, "GET", Body::Length(0));
    answer(&mut long, &[("Content-Length", "3")], &[b"one", b"two"]);
    assert_eq!((long.surplus(), long.is_broken()), (3, false));
    assert_eq!(received(&mut long, client), "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\none");
    let (mut short, _client) = exchange(Front::Http11, "GET", Body::Length(0));
    answer(&mut short, &[("Content-Length", "9")], &[b"one"]);
    assert!(short.is_broken());
    assert!(matches!(short.end(), Some(End::Close(_))));
}

#[test]
fn head_requests_get_no_body() {
    let (mut exchange, client) = exchange(Front::Http11, "HEAD", Body::Length(0));
    answer(&mut exchange, &[("Content-Length", "3")], &[b"one"]);
    assert_eq!(received(&mut exchange, client), "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n");
}

#[test]
fn an_empty_http_response_says_so() {
    let (mut exchange, client) = exchange(Front::Http11, "GET", Body::Length(0));
    answer(&mut exchange, &[], &[]);
    assert_eq!(received(&mut exchange, client), "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
}

#[test]
fn a_large_chunk_waits_for_the_client_and_arrives_whole() {
    for front in [Front::Uwsgi, Front::Http11] {
        let (mut exchange, mut client) = exchange(front, "GET", Body::Length(0));
        let reader = std::thread::spawn(move || {
            let mut bytes = Vec::new();
            client.read_to_end(&mut bytes).unwrap();
            bytes
        });
        let chunk = vec![b'x'; 3_000_000];
        answer(&mut exchange, &[], &[&chunk, b"end"]);
        while exchange.is_pending() {
            exchange.wait_output().unwrap();
            exchange.try_finish().unwrap();
        }
        drop(exchange.end());
        let bytes = reader.join().unwrap();
        assert_eq!(bytes.iter().filter(|byte| **byte == b'x').count(), 3_000_000);
    }
}

#[test]
fn a_client_that_takes_nothing_times_out() {
    let (mut exchange, _client) = exchange(Front::Uwsgi, "GET", Body::Length(0));
    exchange.head().start(b"200 OK").unwrap();
    assert!(matches!(exchange.write(&vec![0; 8_000_000]), Err(WriteError::Timeout)));
    assert!(exchange.is_broken());
}

#[test]
fn bodies_are_read_to_their_length_and_no_further() {
    let (mut exchange, mut client) = exchange(Front::Uwsgi, "POST", Body::Length(5));
    client.write_all(b"helloEXTRA").unwrap();
    let mut buffer = [0; 64];
    assert_eq!(exchange.try_read(&mut buffer).unwrap(), Step::Read(5));
    assert_eq!(exchange.try_read(&mut buffer).unwrap(), Step::Read(0));
    assert_eq!(&buffer[..5], b"hello");
}

#[test]
fn a_missing_rest_is_an_error_and_an_absent_one_a_wait() {
    let (mut exchange, mut client) = exchange(Front::Uwsgi, "POST", Body::Length(5));
    let mut buffer = [0; 64];
    assert_eq!(exchange.try_read(&mut buffer).unwrap(), Step::Wait);
    assert!(matches!(exchange.wait_input(), Err(BodyError::Timeout)));
    client.write_all(b"he").unwrap();
    drop(client);
    assert_eq!(exchange.try_read(&mut buffer).unwrap(), Step::Read(2));
    assert!(matches!(exchange.try_read(&mut buffer), Err(BodyError::Closed { left: 3 })));
}

#[test]
fn chunked_bodies_are_decoded() {
    let (mut exchange, mut client) = exchange(Front::Http11, "POST", Body::Chunked);
    client.write_all(b"3\r\nabc\r\n0\r\n\r\n").unwrap();
    let mut buffer = [0; 64];
    assert_eq!(exchange.try_read(&mut buffer).unwrap(), Step::Read(3));
    assert_eq!(exchange.try_read(&mut buffer).unwrap(), Step::Read(0));
    assert_eq!(exchange.body_left(), Some(0));
}

#[test]
fn a_file_that_is_not_taken_at_once_goes_on_without_the_exchange() {
    let path = std::env::temp_dir().join(format!("rustwsgi-delivery-{}", std::process::id()));
    let bytes: Vec<u8> = (0..4_000_000u32).map(|number| number as u8).collect();
    std::fs::write(&path, &bytes).unwrap();
    let open = || std::fs::File::open(&path).unwrap();
    let (mut small, client) = exchange(Front::Http11, "GET", Body::Length(0));
    small.leave_files();
    small.head().start(b"200 OK").unwrap();
    small.deliver(open(), 10, 5).unwrap();
    small.try_finish().unwrap();
    assert!(!small.is_pending() && !small.is_broken());
    let text = received(&mut small, client);
    assert!(
        text.starts_with("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n") && text.as_bytes().ends_with(&bytes[10..15])
    );
    let (mut big, mut client) = exchange(Front::Http11, "GET", Body::Length(0));
    big.leave_files();
    big.head().start(b"200 OK").unwrap();
    big.deliver(open(), 0, bytes.len() as u64).unwrap();
    std::fs::remove_file(&path).unwrap();
    big.try_finish().unwrap();
    assert_eq!((big.body_bytes(), big.is_pending(), big.is_broken()), (bytes.len() as u64, false, false));
    let Some(End::Deliver(mut delivery)) = big.end() else { panic!("all of it was taken") };
    let reader = std::thread::spawn(move || {
        let mut all = Vec::new();
        client.read_to_end(&mut all).unwrap();
        all
    });
    while !delivery.advance().unwrap() {
        std::thread::yield_now();
    }
    assert!(matches!(delivery.end(), End::KeepAlive(..)));
    assert!(reader.join().unwrap().ends_with(&bytes));
}
