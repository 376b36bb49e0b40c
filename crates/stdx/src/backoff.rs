//! How long to wait before trying again: exponential, capped, with jitter.

use std::time::Duration;

use crate::Rng;

/// The delays of one thing that is tried again and again.
#[derive(Clone, Debug)]
pub struct Backoff {
    first: Duration,
    max: Duration,
    factor: f64,
    jitter: f64,
    next: Duration,
    failures: u32,
}

impl Backoff {
    /// Starts at `first`, doubles with each failure, never exceeds `max`.
    pub fn new(first: Duration, max: Duration) -> Self {
        Self {
            first: first.min(max),
            max,
            factor: 2.0,
            jitter: 0.0,
            next: first.min(max),
            failures: 0,
        }
    }

    /// Grows by `factor` instead of two.
    #[must_use]
    pub fn factor(mut self, factor: f64) -> Self {
        self.factor = factor.max(1.0);
        self
    }

    /// Lengthens each delay by up to `jitter` of itself, so that many who
    /// failed together do not return together.
    #[must_use]
    pub fn jitter(mut self, jitter: f64) -> Self {
        self.jitter = jitter.max(0.0);
        self
    }

    /// Notes a failure and returns the delay before the next attempt.
    pub fn next(&mut self, rng: &Rng) -> Duration {
        let delay = self.next;
        self.failures = self.failures.saturating_add(1);
        self.next = Duration::try_from_secs_f64(delay.as_secs_f64() * self.factor)
            .unwrap_or(self.max)
            .min(self.max);
        if self.jitter > 0.0 {
            rng.jitter(delay, self.jitter)
        } else {
            delay
        }
    }

    /// Notes a success: the next delay is the first again.
    pub fn reset(&mut self) {
        self.next = self.first;
        self.failures = 0;
    }

    /// Failures since the start or the last success.
    pub fn failures(&self) -> u32 {
        self.failures
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn millis(backoff: &mut Backoff, rng: &Rng, count: usize) -> Vec<u128> {
        (0..count).map(|_| backoff.next(rng).as_millis()).collect()
    }

    #[test]
    fn doubles_to_the_cap_and_starts_again() {
        let rng = Rng::seeded(1);
        let mut backoff = Backoff::new(Duration::from_millis(10), Duration::from_millis(100));
        assert_eq!(
            millis(&mut backoff, &rng, 6),
            [10, 20, 40, 80, 100, 100],
            "delays"
        );
        assert_eq!(backoff.failures(), 6);
        backoff.reset();
        assert_eq!(millis(&mut backoff, &rng, 2), [10, 20]);
    }

    #[test]
    fn jitter_only_lengthens() {
        let rng = Rng::seeded(1);
        let second = Duration::from_secs(1);
        let mut backoff = Backoff::new(second, second).factor(3.0).jitter(0.1);
        for _ in 0..100 {
            let delay = backoff.next(&rng);
            assert!(delay >= second && delay < second.mul_f64(1.1), "{delay:?}");
        }
    }
}
