//! Options of the kubelet in upstream's words, and what follows from them.
//!
//! Those that upstream reads from its configuration file only have the names
//! that their flags would have.

use anyhow::{Context as _, Result, bail, ensure};
use images::access;
use kubelet::eviction::threshold::{Eviction, Options as EvictionOptions};
use kubelet::image_gc::Policy;
use std::time::Duration;

/// Options of the kubelet that are none of the server.
#[derive(Clone, Debug, Default)]
pub struct KubeletOptions {
    gc_high: Option<u64>,
    gc_low: Option<u64>,
    gc_age_min: Option<Duration>,
    gc_age_max: Option<Duration>,
    serialize_pulls: bool,
    parallel_pulls_max: Option<usize>,
    verification: String,
    verification_allowlist: Vec<String>,
    eviction: EvictionOptions,
    eviction_transition: Option<Duration>,
    eviction_grace_max: i64,
    streaming_idle: Option<Duration>,
}

/// Sets an option from its text.
type Set = fn(&mut KubeletOptions, &str) -> Result<()>;

/// All options, alphabetically.
pub const OPTIONS: [(&str, Set); 15] = [
    ("eviction-hard", |options, value| {
        options.eviction.hard = Some(value.into());
        Ok(())
    }),
    ("eviction-max-pod-grace-period", |options, value| {
        options.eviction_grace_max = value.parse()?;
        Ok(())
    }),
    ("eviction-minimum-reclaim", |options, value| {
        options.eviction.minimum_reclaim = value.into();
        Ok(())
    }),
    ("eviction-pressure-transition-period", |options, value| {
        options.eviction_transition = Some(duration(value)?);
        Ok(())
    }),
    ("eviction-soft", |options, value| {
        options.eviction.soft = value.into();
        Ok(())
    }),
    ("eviction-soft-grace-period", |options, value| {
        options.eviction.soft_grace = value.into();
        Ok(())
    }),
    ("image-gc-high-threshold", |options, value| {
        options.gc_high = Some(value.parse()?);
        Ok(())
    }),
    ("image-gc-low-threshold", |options, value| {
        options.gc_low = Some(value.parse()?);
        Ok(())
    }),
    ("image-maximum-gc-age", |options, value| {
        options.gc_age_max = Some(duration(value)?);
        Ok(())
    }),
    (
        "image-pull-credentials-verification-policy",
        |options, value| {
            options.verification = value.into();
            Ok(())
        },
    ),
    ("max-parallel-image-pulls", |options, value| {
        options.parallel_pulls_max = Some(value.parse()?);
        Ok(())
    }),
    ("minimum-image-ttl-duration", |options, value| {
        options.gc_age_min = Some(duration(value)?);
        Ok(())
    }),
    (
        "preloaded-images-verification-allowlist",
        |options, value| {
            let images = value.split(',').map(String::from);
            options.verification_allowlist.extend(images);
            Ok(())
        },
    ),
    ("serialize-image-pulls", |options, value| {
        options.serialize_pulls = value.parse()?;
        Ok(())
    }),
    ("streaming-connection-idle-timeout", |options, value| {
        options.streaming_idle = Some(duration(value)?);
        Ok(())
    }),
];

impl KubeletOptions {
    /// When unused images go.
    pub fn image_gc(&self) -> Result<Policy> {
        let usual = Policy::default();
        let policy = Policy {
            high_percent: self.gc_high.unwrap_or(usual.high_percent),
            low_percent: self.gc_low.unwrap_or(usual.low_percent),
            min_age: self.gc_age_min.unwrap_or(usual.min_age),
            // Zero is upstream's word for never.
            max_age: self.gc_age_max.filter(|age| !age.is_zero()),
        };
        let (high, low) = (policy.high_percent, policy.low_percent);
        ensure!(
            high <= 100 && low < high,
            "image-gc-low-threshold {low} must be less than image-gc-high-threshold {high}, and that no more than 100"
        );
        if let Some(max) = policy.max_age {
            ensure!(
                max > policy.min_age,
                "image-maximum-gc-age {max:?} must be greater than minimum-image-ttl-duration {:?}",
                policy.min_age
            );
        }
        Ok(policy)
    }

    /// How many images are pulled at a time; any number if absent.
    pub fn parallel_pulls(&self) -> Result<Option<usize>> {
        match (self.serialize_pulls, self.parallel_pulls_max) {
            (_, Some(0)) => bail!("max-parallel-image-pulls 0 must be a positive number"),
            (true, Some(2..)) => bail!(
                "max-parallel-image-pulls cannot be larger than 1 unless serialize-image-pulls is set to false"
            ),
            (true, _) => Ok(Some(1)),
            (false, max) => Ok(max),
        }
    }

    /// Which images that are here already a pod has to prove that it may use.
    pub fn verification(&self) -> Result<access::Policy> {
        let policy = access::Policy::parse(&self.verification, &self.verification_allowlist);
        Ok(policy?)
    }

    /// When pods are evicted.
    pub fn eviction(&self) -> Result<Eviction> {
        let usual = Eviction::default();
        Ok(Eviction {
            thresholds: self.eviction.thresholds()?,
            transition: self.eviction_transition.unwrap_or(usual.transition),
            pod_grace_max: self.eviction_grace_max,
        })
    }

    /// How long streams may be silent, if it is said; zero is without end.
    pub fn streaming_idle(&self) -> Option<Duration> {
        self.streaming_idle
    }

    /// Says what does not go together.
    pub fn check(&self) -> Result<()> {
        let checked = || -> Result<()> {
            self.image_gc()?;
            self.parallel_pulls()?;
            self.verification()?;
            self.eviction().map(drop)
        };
        checked().context("--kubelet-arg")
    }
}

fn duration(text: &str) -> Result<Duration> {
    match meta::go::duration(text).map(Duration::try_from_secs_f64) {
        Some(Ok(duration)) => Ok(duration),
        _ => bail!("time: invalid duration {text:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(given: &[(&str, &str)]) -> Result<KubeletOptions> {
        let mut options = KubeletOptions::default();
        for (name, value) in given {
            let known = OPTIONS.iter().find(|(known, _)| known == name);
            known.context("an option")?.1(&mut options, value)?;
        }
        options.check()?;
        Ok(options)
    }

    #[test]
    fn options_take_effect() {
        assert!(OPTIONS.is_sorted_by_key(|(name, _)| *name));
        let read = options(&[
            ("image-gc-high-threshold", "70"),
            ("image-gc-low-threshold", "60"),
            ("minimum-image-ttl-duration", "5m"),
            ("image-maximum-gc-age", "24h"),
            ("serialize-image-pulls", "false"),
            ("max-parallel-image-pulls", "3"),
            (
                "image-pull-credentials-verification-policy",
                "NeverVerifyAllowlistedImages",
            ),
            (
                "preloaded-images-verification-allowlist",
                "r.example/*,r.example/app",
            ),
            ("eviction-hard", "memory.available<1%"),
            ("eviction-pressure-transition-period", "30s"),
            ("streaming-connection-idle-timeout", "5m"),
        ]);
        let read = read.expect("options");
        let policy = Policy {
            high_percent: 70,
            low_percent: 60,
            min_age: Duration::from_secs(300),
            max_age: Some(Duration::from_secs(86_400)),
        };
        assert_eq!(read.image_gc().expect("a policy"), policy);
        assert_eq!(read.parallel_pulls().expect("a number"), Some(3));
        let eviction = read.eviction().expect("thresholds");
        assert_eq!(eviction.thresholds.len(), 1);
        assert_eq!(eviction.transition, Duration::from_secs(30));
        assert_eq!(read.streaming_idle(), Some(Duration::from_secs(300)));
        let usual = options(&[]).expect("no options");
        assert_eq!(usual.streaming_idle(), None);
        assert_eq!(usual.image_gc().expect("a policy"), Policy::default());
        assert_eq!(usual.parallel_pulls().expect("a number"), None);
        assert_eq!(usual.eviction().expect("thresholds"), Eviction::default());
    }

    #[test]
    fn what_does_not_go_together_is_refused() {
        for given in [
            &[("image-gc-high-threshold", "80")][..],
            &[("image-gc-high-threshold", "101")],
            &[("image-maximum-gc-age", "1m")],
            &[("image-maximum-gc-age", "-1m")],
            &[("max-parallel-image-pulls", "0")],
            &[
                ("serialize-image-pulls", "true"),
                ("max-parallel-image-pulls", "2"),
            ],
            &[("serialize-image-pulls", "maybe")],
            &[("image-pull-credentials-verification-policy", "Sometimes")],
            &[("preloaded-images-verification-allowlist", "r.example/app")],
            &[("eviction-hard", "cpu.available<1")],
            &[("eviction-soft", "memory.available<1Gi")],
        ] {
            assert!(options(given).is_err(), "{given:?}");
        }
    }
}
