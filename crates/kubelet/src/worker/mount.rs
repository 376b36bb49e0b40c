//! Setting up a pod's volumes, again and again but ever more rarely while that
//! fails.

use std::collections::HashMap;
use std::time::Duration;

use stdx::Instant;
use typed::api::core::v1::Pod;

use super::execute::Stuck;
use super::run::PodWorker;
use crate::observed::Observed;
use crate::pod::{is_host_network, spec};
use crate::volumes::{self, Mounted, Setup};

/// How long volumes that fail wait for their next turn: 500 ms, doubling to
/// 2 min 2 s, each for itself.
///
/// Follows pkg/util/goroutinemap/exponentialbackoff.
#[derive(Debug, Default)]
pub(super) struct MountBackoff(HashMap<String, Failing>);

#[derive(Debug)]
struct Failing {
    since: Instant,
    delay: Duration,
}

const FIRST: Duration = Duration::from_millis(500);
const MAX: Duration = Duration::from_secs(122);

impl MountBackoff {
    /// A volume has failed. Says whether that is to be told: a failure before
    /// its turn, because the pod was looked at for another reason, is not.
    fn failed(&mut self, volume: &str, now: Instant) -> bool {
        let delay = match self.0.get(volume) {
            Some(failing) if now - failing.since < failing.delay => return false,
            Some(failing) => (failing.delay * 2).min(MAX),
            None => FIRST,
        };
        let failing = Failing { since: now, delay };
        self.0.insert(volume.to_owned(), failing);
        true
    }

    /// Forgets the failures of volumes that are set up.
    fn forget(&mut self, mounted: &Mounted) {
        self.0.retain(|volume, _| !mounted.contains_key(volume));
    }

    /// Until the next turn of any volume.
    fn left(&self, now: Instant) -> Option<Duration> {
        let left = |failing: &Failing| failing.delay.saturating_sub(now - failing.since);
        self.0.values().map(left).min()
    }
}

impl PodWorker {
    /// Sets up all volumes that containers mount, or tells why not.
    pub(super) async fn mount(&mut self, pod: &Pod, observed: &Observed) -> Result<Mounted, Stuck> {
        self.mount_with(pod, observed.ips.clone()).await
    }

    /// The same once the pod has its address, for volumes that tell it.
    pub(super) async fn mount_again(
        &mut self,
        pod: &Pod,
        mounted: Mounted,
    ) -> Result<Mounted, Stuck> {
        let tells_address = spec(pod).volumes.iter().flatten().any(|volume| {
            let projected = volume
                .projected
                .iter()
                .flat_map(|p| p.sources.iter().flatten());
            volume.downward_api.is_some() || projected.into_iter().any(|s| s.downward_api.is_some())
        });
        if !tells_address {
            return Ok(mounted);
        }
        let addresses = self.cx.network.addresses(&self.uid).await;
        self.mount_with(pod, addresses).await
    }

    async fn mount_with(&mut self, pod: &Pod, ips: Vec<String>) -> Result<Mounted, Stuck> {
        let cx = &self.cx;
        let ips = if is_host_network(pod) {
            cx.config.node_ips.clone()
        } else {
            ips
        };
        let node = cx.node_facts(ips);
        let directory = cx.pod_directory(pod);
        let setup = Setup {
            pod,
            objects: &*cx.objects,
            tokens: &*cx.tokens,
            node: &node,
            mounts: &*cx.mounts,
            clock: &cx.clock,
            rng: &cx.rng,
            pod_directory: &directory,
            written: &self.written,
        };
        let (mounted, failed) = volumes::set_up_all(&setup).await;
        let now = cx.clock.now();
        self.mount_backoff.forget(&mounted);
        for (volume, error) in &failed {
            if self.mount_backoff.failed(volume, now) {
                let text = format!("MountVolume.SetUp failed for volume \"{volume}\" : {error}");
                cx.warn(pod, "FailedMount", text);
            }
        }
        if failed.is_empty() {
            return Ok(mounted);
        }
        Err(Stuck {
            again: self.mount_backoff.left(now),
        })
    }

    /// Brings the volumes of a running pod up to date.
    pub(super) async fn refresh_volumes(
        &mut self,
        pod: &Pod,
        observed: &Observed,
    ) -> Result<(), Stuck> {
        if observed.ready_sandbox().is_none() {
            return Ok(());
        }
        let refreshable = spec(pod).volumes.iter().flatten().any(|volume| {
            volume.config_map.is_some()
                || volume.secret.is_some()
                || volume.downward_api.is_some()
                || volume.projected.is_some()
        });
        if !refreshable {
            return Ok(());
        }
        self.mount(pod, observed).await.map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    fn at(millis: u64) -> Instant {
        Instant::ORIGIN + Duration::from_millis(millis)
    }

    #[test]
    fn each_volume_waits_twice_as_long_as_before() {
        let mut backoff = MountBackoff::default();
        let (mut now, mut waits) = (0, Vec::new());
        for _ in 0..11 {
            assert!(backoff.failed("a", at(now)));
            let wait = backoff.left(at(now)).expect("a wait");
            assert!(!backoff.failed("a", at(now + 1)), "not its turn");
            assert_eq!(
                backoff.left(at(now + 1)),
                Some(wait - Duration::from_millis(1))
            );
            waits.push(wait.as_millis());
            now += wait.as_millis() as u64;
        }
        let expected = [
            500, 1000, 2000, 4000, 8000, 16_000, 32_000, 64_000, 122_000, 122_000, 122_000,
        ];
        assert_eq!(waits, expected);
        assert!(backoff.failed("b", at(now)));
        assert_eq!(backoff.left(at(now)), Some(Duration::ZERO), "the turn of a");
        backoff.forget(&Mounted::from([("a".to_owned(), PathBuf::new())]));
        assert_eq!(backoff.left(at(now)), Some(FIRST));
        assert!(backoff.failed("a", at(now)));
        assert_eq!(backoff.left(at(now)), Some(FIRST), "it begins anew");
    }
}
