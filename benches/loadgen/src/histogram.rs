//! Latency histogram with a bounded relative error.
//!
//! Called by `driver` once per answer and by `main` for the report. It must not allocate while
//! recording: the load generator has to stay cheaper than the server it loads.

use std::time::Duration;

/// Each power of two is cut into this many equal steps, so a value is known to about 1.5 %.
const STEPS: u64 = 64;
const STEP_BITS: u32 = STEPS.trailing_zeros();
/// Up to 2^42 ns, more than an hour; longer values land in the last bucket.
const BUCKETS: usize = (STEPS * 38) as usize;

/// Counts of latencies in nanoseconds.
pub struct Histogram {
    counts: Vec<u64>,
    total: u64,
    sum: u128,
    max: u64,
}

impl Histogram {
    /// An empty histogram; all memory it will ever need is taken here.
    pub fn new() -> Self {
        Self {
            counts: vec![0; BUCKETS],
            total: 0,
            sum: 0,
            max: 0,
        }
    }

    /// Adds one latency.
    pub fn record(&mut self, latency: Duration) {
        let nanos = u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX);
        self.counts[Self::bucket(nanos)] += 1;
        self.total += 1;
        self.sum += u128::from(nanos);
        self.max = self.max.max(nanos);
    }

    /// The latency in microseconds below which `share` (0 to 1) of all values lie; 0 when empty.
    pub fn quantile_us(&self, share: f64) -> f64 {
        let wanted = ((self.total as f64 * share).ceil() as u64).max(1);
        let mut seen = 0;
        for (bucket, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= wanted {
                return Self::middle(bucket).min(self.max as f64) / 1e3;
            }
        }
        0.0
    }

    /// Mean latency in microseconds; 0 when empty.
    pub fn mean_us(&self) -> f64 {
        if self.total == 0 {
            0.0
        } else {
            self.sum as f64 / self.total as f64 / 1e3
        }
    }

    /// Longest latency in microseconds.
    pub fn max_us(&self) -> f64 {
        self.max as f64 / 1e3
    }

    fn bucket(nanos: u64) -> usize {
        if nanos < STEPS {
            return nanos as usize;
        }
        let shift = nanos.ilog2() - STEP_BITS;
        let step = (nanos >> shift) - STEPS;
        ((u64::from(shift + 1) * STEPS + step) as usize).min(BUCKETS - 1)
    }

    fn middle(bucket: usize) -> f64 {
        let (group, step) = (bucket as u64 / STEPS, bucket as u64 % STEPS);
        if group == 0 {
            return step as f64;
        }
        let width = 1u64 << (group - 1);
        ((STEPS + step) * width) as f64 + width as f64 / 2.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_within_two_percent() {
        let mut histogram = Histogram::new();
        for micros in 1..=10_000 {
            histogram.record(Duration::from_micros(micros));
        }
        for (share, wanted) in [(0.5, 5_000.0), (0.99, 9_900.0), (1.0, 10_000.0)] {
            let found = histogram.quantile_us(share);
            assert!(
                (found / wanted - 1.0).abs() < 0.02,
                "{share}: {found} is not about {wanted}"
            );
        }
        assert_eq!(histogram.max_us(), 10_000.0);
        assert!((histogram.mean_us() - 5_000.5).abs() < 0.01);
    }

    #[test]
    fn extremes_stay_inside() {
        let mut histogram = Histogram::new();
        assert_eq!(histogram.quantile_us(0.99), 0.0);
        histogram.record(Duration::ZERO);
        histogram.record(Duration::MAX);
        assert_eq!(histogram.quantile_us(0.5), 0.0);
        assert!(histogram.quantile_us(1.0) > 1e9);
    }
}
