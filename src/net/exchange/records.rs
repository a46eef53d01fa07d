//! What an exchange does with FastCGI: a body that comes in records, an answer that leaves in them.
//!
//! Part of `exchange`, which asks here instead of minding how a coding looks.

use std::fs::File;
use std::os::unix::fs::FileExt;

use super::{Exchange, WriteError};
use crate::proto::chunked;
use crate::proto::fastcgi;
use crate::proto::refusal::Refusal;

/// Bytes of a file that are read at a time.
const PIECE: usize = 64 * 1024 - 1;

/// How the end of a body is told by the body itself.
#[derive(Debug)]
pub(super) enum Decoder {
    Chunked(chunked::Decoder),
    Records(fastcgi::Decoder),
}

impl Decoder {
    pub(super) fn is_done(&self) -> bool {
        match self {
            Self::Chunked(decoder) => decoder.is_done(),
            Self::Records(decoder) => decoder.is_done(),
        }
    }

    pub(super) fn decode(&mut self, input: &[u8], out: &mut [u8]) -> Result<(usize, usize), Refusal> {
        match self {
            Self::Chunked(decoder) => decoder.decode(input, out),
            Self::Records(decoder) => decoder.decode(input, out),
        }
    }
}

impl Exchange {
    /// Puts the head, which stands in `out` from `start` on, into records.
    pub(super) fn frame_head(&mut self, start: usize) {
        if let Some(id) = self.records {
            let head = self.out.split_off(start);
            fastcgi::frame(id, &head, &mut self.out);
        }
    }

    /// How much of `wanted` bytes may be pushed now: the rest of the record begun, or a new one.
    pub(super) fn in_record(&mut self, wanted: usize) -> usize {
        let Some(id) = self.records.filter(|_| wanted > 0) else { return wanted };
        if self.frame_left == 0 {
            self.frame_left = wanted.min(fastcgi::MOST);
            fastcgi::begin_output(id, self.frame_left, &mut self.out);
        }
        self.frame_left.min(wanted)
    }

    /// Says the end of the answer, once.
    pub(super) fn end_records(&mut self) {
        if let Some(id) = self.records.take().filter(|_| !self.broken) {
            fastcgi::end_output(id, &mut self.out);
        }
    }

    /// Sends a file through this process, which the kernel can't put into records. Ends early,
    /// without error, where the file does.
    pub(super) fn copy_file(&mut self, file: &File, mut offset: i64, count: u64) -> Result<(), WriteError> {
        self.announce(count);
        self.write(b"")?;
        let (mut left, mut piece) = (count, vec![0; PIECE]);
        while left > 0 {
            let most = piece.len().min(usize::try_from(left).unwrap_or(PIECE));
            let read = file.read_at(&mut piece[..most], u64::try_from(offset).unwrap_or(0))?;
            if read == 0 {
                break;
            }
            self.write(&piece[..read])?;
            (left, offset) = (left - read as u64, offset + read as i64);
        }
        Ok(())
    }
}
