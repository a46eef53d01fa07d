//! Clocks. Deadlines use the monotonic one only: a jump of the wall clock must not kill a request.

use std::time::{SystemTime, UNIX_EPOCH};

use nix::time::{ClockId, clock_gettime};

/// Nanoseconds of CLOCK_MONOTONIC, the same for every process of the machine.
pub fn monotonic() -> u64 {
    // The clock exists on every Linux; the call can only fail for an unknown clock.
    clock_gettime(ClockId::CLOCK_MONOTONIC)
        .map(|time| time.tv_sec() as u64 * 1_000_000_000 + time.tv_nsec() as u64)
        .unwrap_or(0)
}

/// Microseconds since 1970, for what people read.
pub fn epoch_micros() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_micros() as i64)
}

/// Seconds since 1970, for what people read.
pub fn epoch() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs() as i64)
}
