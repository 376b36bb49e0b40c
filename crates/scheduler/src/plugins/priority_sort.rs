//! PrioritySort: the order of the queue, higher priority first, then the pod
//! that waits longer.
//!
//! Follows pkg/scheduler/framework/plugins/queuesort.

use std::cmp::Reverse;

use stdx::Instant;

/// A pod's place in the queue; the least comes first. The number decides
/// between pods that came at the same moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SortKey {
    priority: Reverse<i32>,
    since: Instant,
    number: u64,
}

impl SortKey {
    /// The place of a pod.
    pub fn new(priority: i32, since: Instant, number: u64) -> Self {
        Self {
            priority: Reverse(priority),
            since,
            number,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn priority_then_time_then_number() {
        let at = |seconds| Instant::ORIGIN + Duration::from_secs(seconds);
        let mut keys = [
            SortKey::new(0, at(1), 4),
            SortKey::new(10, at(2), 2),
            SortKey::new(10, at(1), 3),
            SortKey::new(10, at(1), 1),
            SortKey::new(-1, at(0), 0),
        ];
        keys.sort();
        assert_eq!(keys.map(|key| key.number), [1, 3, 2, 4, 0]);
    }
}
