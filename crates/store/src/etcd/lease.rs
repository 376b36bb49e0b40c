//! Leases for records that expire. Records whose deadlines are near each
//! other share one, since a lease costs the cluster more than a record.
//! Follows storage/etcd3/lease_manager.go of k8s.io/apiserver.

use std::time::Duration;

use stdx::{Clock, Instant};
use tokio::sync::Mutex;

use super::{
    connection::{Connection, backend},
    messages::LeaseGrantRequest,
};
use crate::Error;

/// A lease is granted this much longer than it is needed for, so that it can
/// be shared, but no more than a share of the time that it is needed for.
const REUSE_SECONDS: i64 = 60;
const REUSE_SHARE: f64 = 0.05;
/// How many records share a lease at most.
const OBJECTS: u32 = 1000;

/// The lease that was granted last.
#[derive(Debug, Default)]
pub(super) struct Leases {
    last: Mutex<Option<Lease>>,
}

#[derive(Clone, Copy, Debug)]
struct Lease {
    id: i64,
    ends: Instant,
    objects: u32,
}

impl Leases {
    /// A lease that lasts at least `ttl` and not much longer.
    pub(super) async fn get(
        &self,
        connection: &Connection,
        clock: &Clock,
        ttl: Duration,
    ) -> Result<i64, Error> {
        let seconds = seconds(ttl);
        let reuse = reuse_seconds(seconds);
        let mut last = self.last.lock().await;
        let now = clock.now();
        if let Some(lease) = &mut *last
            && lease.serves(now, seconds, reuse)
        {
            lease.objects += 1;
            return Ok(lease.id);
        }
        let ttl = seconds + reuse;
        let granted = connection.grant(LeaseGrantRequest { ttl }).await;
        let granted = granted.map_err(|status| backend("granting a lease", status))?;
        if !granted.error.is_empty() {
            let status = tonic::Status::failed_precondition(granted.error);
            return Err(backend("granting a lease", status));
        }
        *last = Some(Lease {
            id: granted.id,
            ends: now + Duration::from_secs(ttl.unsigned_abs()),
            objects: 1,
        });
        Ok(granted.id)
    }
}

impl Lease {
    fn serves(&self, now: Instant, seconds: i64, reuse: i64) -> bool {
        let after = |seconds: i64| now + Duration::from_secs(seconds.unsigned_abs());
        let lasts = after(seconds) <= self.ends;
        let not_too_long = after(seconds + reuse) >= self.ends;
        lasts && not_too_long && self.objects < OBJECTS
    }
}

fn seconds(ttl: Duration) -> i64 {
    let whole = i64::try_from(ttl.as_secs()).unwrap_or(i64::MAX / 2);
    let rest = i64::from(ttl.subsec_nanos() > 0);
    (whole + rest).max(1)
}

fn reuse_seconds(seconds: i64) -> i64 {
    REUSE_SECONDS.min((seconds as f64 * REUSE_SHARE) as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lease_serves_what_ends_shortly_before_it() {
        let lease = Lease {
            id: 1,
            ends: Instant::ORIGIN + Duration::from_secs(3660),
            objects: 1,
        };
        for (now, ttl, expected) in [
            (0, 3600, true),
            (60, 3600, true),
            (61, 3600, false),
            (0, 60, false),
            (3599, 60, true),
        ] {
            let at = Instant::ORIGIN + Duration::from_secs(now);
            let serves = lease.serves(at, ttl, reuse_seconds(ttl));
            assert_eq!(serves, expected, "at {now} for {ttl}");
        }
        let full = Lease {
            objects: OBJECTS,
            ..lease
        };
        assert!(!full.serves(Instant::ORIGIN, 3600, 60));
    }

    #[test]
    fn parts_of_seconds_count_whole() {
        assert_eq!(seconds(Duration::from_millis(1)), 1);
        assert_eq!(seconds(Duration::from_millis(1500)), 2);
        assert_eq!(seconds(Duration::from_secs(3600)), 3600);
    }
}
