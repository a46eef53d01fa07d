//! The bytes that a core has read and not handed on yet.
//!
//! One a core, kept for its life: a request that arrives whole is read, parsed and served without
//! an allocation. What belongs to a connection that must wait is copied out of it.

use bytes::BytesMut;

/// Bytes taken in one read: the head of nearly any request, and little of a body, which is better
/// read to where it belongs.
const ONE_READ: usize = 16 * 1024;

/// A buffer with bytes at its start.
#[derive(Debug)]
pub struct Inbox {
    bytes: Box<[u8]>,
    filled: usize,
}

impl Inbox {
    /// Room for a head of `largest` bytes, and for what a decoder of bodies may have read ahead.
    pub fn new(largest: usize) -> Self {
        Self { bytes: vec![0; largest.max(4 * ONE_READ)].into(), filled: 0 }
    }

    /// Forgets what it holds and takes over what a connection held.
    pub fn refill(&mut self, held: &[u8]) {
        if held.len() > self.bytes.len() {
            self.bytes = vec![0; held.len()].into();
        }
        self.bytes[..held.len()].copy_from_slice(held);
        self.filled = held.len();
    }

    /// What it holds.
    pub fn held(&self) -> &[u8] {
        &self.bytes[..self.filled]
    }

    /// A copy of what it holds from `start` on; without an allocation where that is nothing.
    pub fn copy_from(&self, start: usize) -> BytesMut {
        BytesMut::from(&self.bytes[start.min(self.filled)..self.filled])
    }

    /// Drops `count` bytes from its start.
    pub fn drop_first(&mut self, count: usize) {
        let count = count.min(self.filled);
        self.bytes.copy_within(count..self.filled, 0);
        self.filled -= count;
    }

    /// Where the next read goes; empty when the buffer is full.
    pub fn room(&mut self) -> &mut [u8] {
        let end = self.bytes.len().min(self.filled + ONE_READ);
        &mut self.bytes[self.filled..end]
    }

    /// Counts what was read into [`Inbox::room`].
    pub fn add(&mut self, count: usize) {
        self.filled += count;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_go_behind_what_is_held() {
        let mut inbox = Inbox::new(100);
        inbox.refill(b"ab");
        inbox.room()[..2].copy_from_slice(b"cd");
        inbox.add(2);
        assert_eq!((inbox.held(), &inbox.copy_from(3)[..], inbox.copy_from(9).len()), (&b"abcd"[..], &b"d"[..], 0));
        inbox.drop_first(3);
        assert_eq!(inbox.held(), b"d");
        inbox.refill(b"");
        assert_eq!(inbox.held(), b"");
    }

    #[test]
    fn the_room_ends_with_the_buffer_and_grows_for_what_was_read_ahead() {
        let mut inbox = Inbox::new(100);
        let mut total = 0;
        while !inbox.room().is_empty() {
            let count = inbox.room().len();
            inbox.add(count);
            total += count;
        }
        assert_eq!(total, 4 * ONE_READ);
        inbox.refill(&[1; 100_000]);
        assert_eq!(inbox.held().len(), 100_000);
    }
}
