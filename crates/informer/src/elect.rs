//! Leader election on a Lease: of several processes, one works.
//!
//! Follows client-go's tools/leaderelection: a candidate takes a lease that is free or whose
//! holder has not renewed it for as long as the candidate itself has watched, by the candidate's
//! own clock; the holder renews it and gives up when it could not for too long. Several may believe
//! themselves leaders for a moment, so what a leader writes must be safe anyhow.

use client::{Api, Client, Error};
use std::time::Duration;
use stdx::{Clock, Instant, Rng};
use typed::Typed;
use typed::api::coordination::v1::{Lease, LeaseSpec};
use typed::meta::{MicroTime, ObjectMeta};

/// Which lease, and how long its terms are.
#[derive(Clone, Debug)]
pub struct ElectionConfig {
    /// The lease's namespace.
    pub namespace: String,
    /// The lease's name.
    pub name: String,
    /// Who the candidate is.
    pub identity: String,
    /// How long a lease holds without renewal.
    pub lease_duration: Duration,
    /// How long the leader tries to renew before it gives up.
    pub renew_deadline: Duration,
    /// How long to wait between attempts.
    pub retry_period: Duration,
}

/// A candidate.
pub struct Election {
    config: ElectionConfig,
    leases: Api<Lease>,
    clock: Clock,
    rng: Rng,
    observed: Option<(LeaseSpec, Instant)>,
}

impl ElectionConfig {
    /// Upstream's terms: 15 s, 10 s and 2 s.
    pub fn new(namespace: &str, name: &str, identity: &str) -> Self {
        Self {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            identity: identity.to_owned(),
            lease_duration: Duration::from_secs(15),
            renew_deadline: Duration::from_secs(10),
            retry_period: Duration::from_secs(2),
        }
    }
}

impl Election {
    /// A candidate that is not the leader yet.
    pub fn new(client: &Client, config: ElectionConfig, clock: Clock, rng: Rng) -> Self {
        let leases = client.api::<Lease>().namespace(&config.namespace);
        Self {
            config,
            leases,
            clock,
            rng,
            observed: None,
        }
    }

    /// Waits until the candidate is the leader.
    pub async fn acquire(&mut self) {
        while !self.try_acquire_or_renew().await {
            let delay = self.rng.jitter(self.config.retry_period, 1.2);
            self.clock.sleep(delay).await;
        }
        tracing::info!(
            lease = self.config.name,
            identity = self.config.identity,
            "became leader"
        );
    }

    /// Stays the leader; returns when it no longer is.
    pub async fn hold(&mut self) {
        let mut renewed = self.clock.now();
        loop {
            self.clock.sleep(self.config.retry_period).await;
            let left = self
                .config
                .renew_deadline
                .saturating_sub(self.clock.since(renewed));
            let clock = self.clock.clone();
            match clock.timeout(left, self.try_acquire_or_renew()).await {
                Ok(true) => renewed = self.clock.now(),
                Ok(false) if self.clock.since(renewed) < self.config.renew_deadline => {}
                Ok(false) | Err(_) => break,
            }
        }
        tracing::warn!(
            lease = self.config.name,
            identity = self.config.identity,
            "lost the lease"
        );
    }

    /// Gives the lease up, so that another need not wait for its end.
    pub async fn release(&mut self) {
        let Ok(mut lease) = self.leases.get(&self.config.name).await else {
            return;
        };
        let spec = lease.spec.get_or_insert_default();
        if spec.holder_identity.as_deref() != Some(self.config.identity.as_str()) {
            return;
        }
        let now = MicroTime(self.clock.wall());
        *spec = LeaseSpec {
            holder_identity: Some(String::new()),
            lease_duration_seconds: Some(1),
            acquire_time: Some(now.clone()),
            renew_time: Some(now),
            ..spec.clone()
        };
        if let Err(error) = self.leases.replace(&lease).await {
            tracing::debug!(%error, "lease not released; it will run out");
        }
    }

    async fn try_acquire_or_renew(&mut self) -> bool {
        match self.attempt().await {
            Ok(leads) => leads,
            Err(error) => {
                tracing::debug!(lease = self.config.name, %error, "lease not acquired");
                false
            }
        }
    }

    async fn attempt(&mut self) -> Result<bool, Error> {
        let lease = match self.leases.get(&self.config.name).await {
            Ok(lease) => lease,
            Err(error) if error.is_not_found() => {
                let created = self.leases.create(&self.first_lease()).await?;
                self.observe(created.spec.unwrap_or_default());
                return Ok(true);
            }
            Err(error) => return Err(error),
        };
        let spec = lease.spec.clone().unwrap_or_default();
        self.observe(spec.clone());
        if !self.is_mine(&spec) && !self.is_free(&spec) {
            return Ok(false);
        }
        let replaced = self.leases.replace(&self.next_lease(lease)).await?;
        self.observe(replaced.spec.unwrap_or_default());
        Ok(true)
    }

    /// Notes when a state was first seen: the lease's own times are of another's clock.
    fn observe(&mut self, spec: LeaseSpec) {
        if self
            .observed
            .as_ref()
            .is_none_or(|(known, _)| *known != spec)
        {
            self.observed = Some((spec, self.clock.now()));
        }
    }

    fn is_mine(&self, spec: &LeaseSpec) -> bool {
        spec.holder_identity.as_deref() == Some(self.config.identity.as_str())
    }

    fn is_free(&self, spec: &LeaseSpec) -> bool {
        let held = spec
            .holder_identity
            .as_deref()
            .is_some_and(|holder| !holder.is_empty());
        let seconds =
            u64::try_from(spec.lease_duration_seconds.unwrap_or_default()).unwrap_or_default();
        let since = self.observed.as_ref().map(|(_, since)| *since);
        !held || since.is_none_or(|since| self.clock.since(since) >= Duration::from_secs(seconds))
    }

    fn first_lease(&self) -> Lease {
        let metadata = ObjectMeta {
            name: Some(self.config.name.clone()),
            ..Default::default()
        };
        let mut lease = Lease {
            metadata,
            spec: Some(self.spec()),
        };
        lease.metadata_mut().namespace = Some(self.config.namespace.clone());
        if let Some(spec) = &mut lease.spec {
            spec.lease_transitions = Some(0);
        }
        lease
    }

    fn next_lease(&self, mut lease: Lease) -> Lease {
        let old = lease.spec.take().unwrap_or_default();
        let transitions = old.lease_transitions.unwrap_or_default();
        let mut spec = self.spec();
        if self.is_mine(&old) {
            spec.acquire_time = old.acquire_time;
            spec.lease_transitions = Some(transitions);
        } else {
            spec.lease_transitions = Some(transitions.saturating_add(1));
        }
        lease.spec = Some(spec);
        lease
    }

    fn spec(&self) -> LeaseSpec {
        let now = MicroTime(self.clock.wall());
        LeaseSpec {
            holder_identity: Some(self.config.identity.clone()),
            lease_duration_seconds: i32::try_from(self.config.lease_duration.as_secs()).ok(),
            acquire_time: Some(now.clone()),
            renew_time: Some(now),
            ..Default::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use stdx::Timestamp;
    use testkit::FakeApi;
    use testkit::fake::Refusal;

    fn candidate(api: &FakeApi, clock: &Clock, identity: &str) -> Election {
        let config = ElectionConfig::new("kube-system", "kube-controller-manager", identity);
        Election::new(&api.client(), config, clock.clone(), Rng::seeded(1))
    }

    #[tokio::test(start_paused = true)]
    async fn one_leads_until_it_cannot_renew() {
        let clock = Clock::simulated(Timestamp::UNIX_EPOCH);
        let api = FakeApi::new(clock.clone(), Rng::seeded(1));
        let (mut one, mut two) = (
            candidate(&api, &clock, "one"),
            candidate(&api, &clock, "two"),
        );
        one.acquire().await;
        assert!(!two.try_acquire_or_renew().await);
        clock.sleep(Duration::from_secs(14)).await;
        assert!(one.try_acquire_or_renew().await);
        clock.sleep(Duration::from_secs(14)).await;
        assert!(
            !two.try_acquire_or_renew().await,
            "it was renewed meanwhile"
        );
        let start = clock.now();
        two.acquire().await;
        assert!(clock.since(start) >= Duration::from_secs(15));
        let lease = api
            .get("leases", "kube-system", "kube-controller-manager")
            .unwrap();
        assert_eq!(lease["spec"]["holderIdentity"], "two");
        assert_eq!(lease["spec"]["leaseTransitions"], 1);
        assert!(!one.try_acquire_or_renew().await);

        api.react(|_, _| Some(Refusal::new(503, "ServiceUnavailable", "down")));
        let start = clock.now();
        two.hold().await;
        assert_eq!(clock.since(start).as_secs(), 10);
        api.relent();
        two.release().await;
        assert!(one.try_acquire_or_renew().await);
    }
}
