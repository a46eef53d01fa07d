//! A set of parked connections over socket pairs; the other ends are the clients.

use super::*;
use crate::net::stream::Stream;
use crate::sys::clock;
use bytes::BytesMut;
use std::io::Write;
use std::os::unix::net::UnixStream;

const MILLI: u64 = 1_000_000;

fn connection(deadline: u64) -> (Connection, UnixStream) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    ours.set_nonblocking(true).unwrap();
    let (stream, about) = (Stream::new(ours.into()), About::new(0, None, false));
    (Connection { stream, about, held: BytesMut::new(), phase: Phase::Head, deadline }, theirs)
}

fn ready(connections: &Connections, timeout: u64) -> Vec<Ready> {
    let mut events = Events::new(8);
    connections.wait(&mut events, Some(Duration::from_millis(timeout))).unwrap();
    events.map(Connections::meaning).collect()
}

fn key(ready: &[Ready]) -> Key {
    match ready {
        [Ready::Connection { key, .. }] => *key,
        other => panic!("{other:?}"),
    }
}

fn stays(parking: Parking) {
    assert!(matches!(parking, Parking::Stays), "{parking:?}");
}

#[test]
fn what_arrives_goes_to_one_core() {
    let connections = Connections::new(1).unwrap();
    let (connection, mut client) = connection(u64::MAX);
    stays(connections.park(connection));
    assert_eq!((connections.parked(), ready(&connections, 0)), (1, vec![]));
    client.write_all(b"x").unwrap();
    let key = key(&ready(&connections, 1000));
    let taken = connections.take(key).unwrap();
    assert_eq!(connections.parked(), 0);
    assert!(connections.take(key).is_none());
    // The second event came while the connection was out: it must not be lost.
    let Parking::Again(again) = connections.park(taken) else { panic!("an arrival was lost") };
    stays(connections.park(again));
}

#[test]
fn what_came_before_parking_is_reported() {
    let connections = Connections::new(1).unwrap();
    let (connection, mut client) = connection(u64::MAX);
    client.write_all(b"x").unwrap();
    stays(connections.park(connection));
    assert!(connections.take(key(&ready(&connections, 1000))).is_some());
}

#[test]
fn a_close_is_reported_as_one() {
    let connections = Connections::new(1).unwrap();
    let (connection, client) = connection(u64::MAX);
    stays(connections.park(connection));
    drop(client);
    assert!(matches!(ready(&connections, 1000)[..], [Ready::Connection { hang_up: true, .. }]));
}

#[test]
fn keys_of_closed_connections_name_nobody() {
    let connections = Connections::new(1).unwrap();
    let (one, mut client) = connection(u64::MAX);
    stays(connections.park(one));
    client.write_all(b"x").unwrap();
    let old = key(&ready(&connections, 1000));
    let mut one = connections.take(old).unwrap();
    connections.forget(&mut one.about);
    let (two, _client) = connection(u64::MAX);
    stays(connections.park(two));
    assert!(connections.take(old).is_none());
    assert_eq!(connections.parked(), 1);
}

#[test]
fn deadlines_wake_and_name_the_late_ones_only() {
    let connections = Connections::new(1).unwrap();
    let now = clock::monotonic();
    let (late, _one) = connection(now + MILLI);
    let (early, _two) = connection(now + 3_600_000 * MILLI);
    stays(connections.park(early));
    stays(connections.park(late));
    assert_eq!(ready(&connections, 5000), [Ready::Deadline]);
    let after = clock::monotonic();
    assert!(connections.expired(after).unwrap().deadline <= after);
    assert!(connections.expired(after).is_none());
    assert_eq!((connections.parked(), ready(&connections, 0)), (1, vec![]));
}

#[test]
fn a_deadline_put_off_is_kept_at_its_new_time() {
    let connections = Connections::new(1).unwrap();
    let now = clock::monotonic();
    let (connection, mut client) = connection(now + MILLI);
    stays(connections.park(connection));
    client.write_all(b"x").unwrap();
    let events = ready(&connections, 1000);
    let key = events.iter().find_map(|event| match event {
        Ready::Connection { key, .. } => Some(*key),
        _ => None,
    });
    let mut taken = connections.take(key.unwrap()).unwrap();
    taken.deadline = clock::monotonic() + 30 * MILLI;
    let deadline = taken.deadline;
    stays(connections.park(taken));
    let mut expired = None;
    while expired.is_none() {
        assert!(clock::monotonic() < deadline + 5_000 * MILLI, "the deadline was forgotten");
        ready(&connections, 5000);
        expired = connections.expired(clock::monotonic());
    }
    assert!(clock::monotonic() >= deadline);
}

#[test]
fn those_that_are_missed_least_make_room() {
    let connections = Connections::new(1).unwrap();
    let mut clients = Vec::new();
    let sent = BytesMut::from(&b"GET"[..]);
    for (deadline, phase, held) in [
        (1, Phase::Head, sent),
        (4, Phase::Head, BytesMut::new()),
        (3, Phase::Idle, BytesMut::new()),
        (2, Phase::Idle, BytesMut::new()),
    ] {
        let (mut connection, client) = connection(deadline * 1_000_000_000_000_000);
        (connection.phase, connection.held) = (phase, held);
        stays(connections.park(connection));
        clients.push(client);
    }
    let evicted = |silent_only| -> Vec<u64> {
        std::iter::from_fn(|| connections.evict(silent_only))
            .map(|connection| connection.deadline / 1_000_000_000_000_000)
            .collect()
    };
    assert_eq!((evicted(true), evicted(false)), (vec![2, 3, 4], vec![1]));
}

#[test]
fn the_bytes_held_are_bounded() {
    let connections = Connections::new(1).unwrap();
    let mut clients = Vec::new();
    let mut refused = 0;
    for _ in 0..6 {
        let (mut connection, client) = connection(u64::MAX);
        connection.held = BytesMut::zeroed(MOST_BYTES / 4);
        clients.push(client);
        refused += usize::from(matches!(connections.park(connection), Parking::Refused(_)));
    }
    assert_eq!((connections.parked(), refused), (4, 2));
}

#[test]
fn a_reminder_is_not_forgotten_over_later_deadlines() {
    let connections = Connections::new(1).unwrap();
    let now = clock::monotonic();
    let (connection, _client) = connection(now + 3_600_000 * MILLI);
    stays(connections.park(connection));
    connections.remind(now + 20 * MILLI);
    // Somebody else looks at the deadlines before it is time.
    assert!(connections.expired(now).is_none());
    assert_eq!(ready(&connections, 5000), [Ready::Deadline]);
    assert!(connections.expired(clock::monotonic()).is_none());
    assert_eq!(ready(&connections, 0), []);
}

#[test]
fn everything_moves_to_another_set() {
    let (old, new) = (Connections::new(1).unwrap(), Connections::new(2).unwrap());
    let (connection, mut client) = connection(u64::MAX);
    stays(old.park(connection));
    client.write_all(b"x").unwrap();
    let mut moved = old.clear();
    assert_eq!((old.parked(), moved.len()), (0, 1));
    stays(new.park(moved.remove(0)));
    assert!(new.take(key(&ready(&new, 1000))).is_some());
}
