//! How long a container that keeps ending waits for its next start.
//!
//! 10 s after the second end, doubling to 5 min; forgotten when it ran for 10
//! min. Follows client-go's util/flowcontrol/backoff.go as
//! kuberuntime_manager.go, doBackOff, uses it.

use std::collections::HashMap;
use std::time::Duration;

use stdx::Timestamp;

const FIRST: Duration = Duration::from_secs(10);
const MAX: Duration = Duration::from_secs(300);

/// The delays of one pod's containers.
#[derive(Debug, Default)]
pub struct CrashBackoff {
    entries: HashMap<String, Entry>,
}

#[derive(Debug)]
struct Entry {
    /// Which definition of the container it is for.
    hash: String,
    delay: Duration,
    noted: Timestamp,
}

/// Whether a container may start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It may.
    Go,
    /// It waits.
    Wait {
        /// The whole delay.
        delay: Duration,
        /// What is left of it.
        left: Duration,
    },
}

impl CrashBackoff {
    /// Decides about a container that ended at `finished`, and lengthens its
    /// next delay if it may start.
    pub fn decide(
        &mut self,
        name: &str,
        hash: &str,
        finished: Timestamp,
        now: Timestamp,
    ) -> Verdict {
        self.entries
            .retain(|known, entry| known != name || entry.hash == hash);
        let entry = self.entries.get(name);
        let valid = entry.filter(|entry| between(entry.noted, finished) <= 2 * MAX);
        if let Some(entry) = valid {
            let since = between(finished, now);
            if since < entry.delay {
                return Verdict::Wait {
                    delay: entry.delay,
                    left: entry.delay - since,
                };
            }
        }
        let delay = valid.map_or(FIRST, |entry| (2 * entry.delay).min(MAX));
        let entry = Entry {
            hash: hash.to_owned(),
            delay,
            noted: now,
        };
        self.entries.insert(name.to_owned(), entry);
        Verdict::Go
    }
}

fn between(earlier: Timestamp, later: Timestamp) -> Duration {
    Duration::try_from(later.duration_since(earlier)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_000_000 + seconds).unwrap()
    }

    #[test]
    fn doubles_and_forgets() {
        let mut backoff = CrashBackoff::default();
        let wait = |delay, left| Verdict::Wait {
            delay: Duration::from_secs(delay),
            left: Duration::from_secs(left),
        };
        assert_eq!(backoff.decide("a", "h", at(0), at(0)), Verdict::Go);
        assert_eq!(backoff.decide("a", "h", at(1), at(4)), wait(10, 7));
        assert_eq!(backoff.decide("a", "h", at(1), at(11)), Verdict::Go);
        assert_eq!(backoff.decide("a", "h", at(12), at(12)), wait(20, 20));
        assert_eq!(backoff.decide("b", "h", at(12), at(12)), Verdict::Go);
        // A new definition starts afresh.
        assert_eq!(backoff.decide("a", "new", at(12), at(12)), Verdict::Go);
        // Having run for more than ten minutes does, too.
        assert_eq!(backoff.decide("a", "new", at(700), at(700)), Verdict::Go);
        assert_eq!(backoff.decide("a", "new", at(701), at(701)), wait(10, 10));
    }
}
