//! From which shortage on pods are evicted, as upstream's options say it.
//!
//! Follows pkg/kubelet/eviction/helpers.go, ParseThresholdConfig.

use std::collections::BTreeMap;
use std::time::Duration;

use meta::Quantity;

/// What can run short. The first in order is relieved first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Signal {
    /// `memory.available`
    Memory,
    /// `nodefs.available`
    NodeFs,
    /// `nodefs.inodesFree`
    NodeFsInodes,
    /// `imagefs.available`
    ImageFs,
    /// `imagefs.inodesFree`
    ImageFsInodes,
    /// `pid.available`
    Pids,
}

/// All signals with their names.
const SIGNALS: [(Signal, &str); 6] = [
    (Signal::Memory, "memory.available"),
    (Signal::NodeFs, "nodefs.available"),
    (Signal::NodeFsInodes, "nodefs.inodesFree"),
    (Signal::ImageFs, "imagefs.available"),
    (Signal::ImageFsInodes, "imagefs.inodesFree"),
    (Signal::Pids, "pid.available"),
];

impl Signal {
    /// What pods use of it: the name of the resource.
    pub fn resource(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::NodeFs | Self::ImageFs => "ephemeral-storage",
            Self::NodeFsInodes | Self::ImageFsInodes => "inodes",
            Self::Pids => "pids",
        }
    }

    /// Whether unused images are in its way.
    pub fn is_of_disk(self) -> bool {
        !matches!(self, Self::Memory | Self::Pids)
    }

    /// An amount of it, as it is printed.
    pub fn quantity(self, amount: u64) -> Quantity {
        let amount = i64::try_from(amount).unwrap_or(i64::MAX);
        match self {
            Self::Memory | Self::NodeFs | Self::ImageFs => Quantity::from_bytes(amount),
            _ => Quantity::from_units(amount),
        }
    }
}

/// How much, in itself or as a part of all there is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Amount {
    /// So many bytes, inodes or process ids.
    Whole(u64),
    /// So much of one.
    Part(f64),
}

impl Amount {
    /// How much that is.
    pub fn of(self, capacity: u64) -> u64 {
        match self {
            Self::Whole(amount) => amount,
            Self::Part(part) => (capacity as f64 * part) as u64,
        }
    }
}

/// A shortage that is not borne.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Threshold {
    /// Of what.
    pub signal: Signal,
    /// Below what it begins.
    pub below: Amount,
    /// How long it is borne; a hard one not at all.
    pub grace: Option<Duration>,
    /// What must be free beyond the threshold before it is over.
    pub reclaim: Option<Amount>,
}

/// When and how pods are evicted.
#[derive(Clone, Debug, PartialEq)]
pub struct Eviction {
    /// The shortages.
    pub thresholds: Vec<Threshold>,
    /// How long a shortage is reported after it was last seen.
    pub transition: Duration,
    /// The longest grace, in seconds, of a pod that is evicted for a shortage
    /// that was borne for a while.
    pub pod_grace_max: i64,
}

impl Default for Eviction {
    /// Upstream's, but for the room on disks, which is what k3s asks for: shares of
    /// a large disk of a laptop are more than a node needs.
    fn default() -> Self {
        let hard = |signal, below| Threshold {
            signal,
            below,
            grace: None,
            reclaim: None,
        };
        Self {
            thresholds: vec![
                hard(Signal::Memory, Amount::Whole(100 << 20)),
                hard(Signal::NodeFs, Amount::Part(0.05)),
                hard(Signal::NodeFsInodes, Amount::Part(0.05)),
                hard(Signal::ImageFs, Amount::Part(0.05)),
                hard(Signal::ImageFsInodes, Amount::Part(0.05)),
            ],
            transition: Duration::from_secs(300),
            pod_grace_max: 0,
        }
    }
}

/// Thresholds cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ThresholdError {
    /// There is no such signal, or it is not looked at here.
    #[error("unsupported eviction signal {0}")]
    Signal(String),
    /// The text has another form.
    #[error("{0:?} is not of the form signal{1}value")]
    Form(String, char),
    /// An amount is none.
    #[error("{value:?} of {signal} is neither a quantity above zero nor a percentage up to 100%")]
    Amount {
        /// Of what.
        signal: String,
        /// What it says.
        value: String,
    },
    /// A time is none.
    #[error("{value:?} of {signal} is not a duration such as 1m30s")]
    Grace {
        /// Of what.
        signal: String,
        /// What it says.
        value: String,
    },
    /// Nobody says how long a shortage is borne.
    #[error("grace period must be specified for the soft eviction threshold {0}")]
    NoGrace(String),
}

/// Options in upstream's words, such as `memory.available<100Mi,nodefs.available<10%`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// `eviction-hard`; upstream's defaults if absent.
    pub hard: Option<String>,
    /// `eviction-soft`
    pub soft: String,
    /// `eviction-soft-grace-period`, as `memory.available=1m30s`
    pub soft_grace: String,
    /// `eviction-minimum-reclaim`, as `nodefs.available=500Mi`
    pub minimum_reclaim: String,
}

impl Options {
    /// The thresholds that follow.
    pub fn thresholds(&self) -> Result<Vec<Threshold>, ThresholdError> {
        let mut all = match &self.hard {
            Some(hard) => thresholds(hard)?,
            None => Eviction::default().thresholds,
        };
        let mut graces = BTreeMap::new();
        for (signal, value) in pairs(&self.soft_grace, '=')? {
            let seconds = meta::go::duration(value).filter(|seconds| *seconds >= 0.0);
            let grace = seconds.map(Duration::from_secs_f64);
            graces.insert(signal.0, grace.ok_or_else(|| bad_grace(signal.1, value))?);
        }
        for soft in thresholds(&self.soft)? {
            let grace = graces.get(&soft.signal).copied();
            let grace = grace.ok_or_else(|| ThresholdError::NoGrace(name(soft.signal)))?;
            all.push(Threshold {
                grace: Some(grace).filter(|grace| !grace.is_zero()),
                ..soft
            });
        }
        for (signal, value) in pairs(&self.minimum_reclaim, '=')? {
            let reclaim = amount(value).ok_or_else(|| bad_amount(signal.1, value))?;
            let same = all.iter_mut().filter(|one| one.signal == signal.0);
            same.for_each(|one| one.reclaim = Some(reclaim));
        }
        Ok(all)
    }
}

/// Shortages as `signal<value`; nothing and everything mean that there is none.
fn thresholds(text: &str) -> Result<Vec<Threshold>, ThresholdError> {
    let mut all = Vec::new();
    for ((signal, name), value) in pairs(text, '<')? {
        if matches!(value, "0%" | "100%") {
            continue;
        }
        let below = amount(value).filter(|amount| *amount != Amount::Whole(0));
        all.push(Threshold {
            signal,
            below: below.ok_or_else(|| bad_amount(name, value))?,
            grace: None,
            reclaim: None,
        });
    }
    Ok(all)
}

type Pair<'a> = ((Signal, &'a str), &'a str);

fn pairs(text: &str, between: char) -> Result<Vec<Pair<'_>>, ThresholdError> {
    let mut all = Vec::new();
    for part in text.split(',').map(str::trim).filter(|p| !p.is_empty()) {
        let Some((name, value)) = part.split_once(between) else {
            return Err(ThresholdError::Form(part.to_owned(), between));
        };
        let (name, value) = (name.trim(), value.trim());
        let signal = SIGNALS.iter().find(|(_, known)| *known == name);
        let Some((signal, _)) = signal else {
            return Err(ThresholdError::Signal(name.to_owned()));
        };
        all.push(((*signal, name), value));
    }
    Ok(all)
}

fn amount(text: &str) -> Option<Amount> {
    if let Some(percent) = text.strip_suffix('%') {
        let percent: f64 = percent.parse().ok()?;
        return (0.0..=100.0)
            .contains(&percent)
            .then_some(Amount::Part(percent / 100.0));
    }
    let quantity: Quantity = text.parse().ok()?;
    u64::try_from(quantity.value()).ok().map(Amount::Whole)
}

fn name(signal: Signal) -> String {
    let named = SIGNALS.iter().find(|(known, _)| *known == signal);
    named.map_or_else(String::new, |(_, name)| (*name).to_owned())
}

fn bad_amount(signal: &str, value: &str) -> ThresholdError {
    ThresholdError::Amount {
        signal: signal.to_owned(),
        value: value.to_owned(),
    }
}

fn bad_grace(signal: &str, value: &str) -> ThresholdError {
    ThresholdError::Grace {
        signal: signal.to_owned(),
        value: value.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(hard: Option<&str>, rest: [&str; 3]) -> Result<Vec<Threshold>, String> {
        let [soft, soft_grace, minimum_reclaim] = rest.map(str::to_owned);
        let options = Options {
            hard: hard.map(str::to_owned),
            soft,
            soft_grace,
            minimum_reclaim,
        };
        options.thresholds().map_err(|error| error.to_string())
    }

    #[test]
    fn options_are_upstreams() {
        assert_eq!(read(None, ["", "", ""]), Ok(Eviction::default().thresholds));
        let all = read(
            Some("memory.available<1Gi, nodefs.available<0%"),
            [
                "nodefs.available<15%,memory.available<2Gi",
                "nodefs.available=1m30s,memory.available=0s",
                "nodefs.available=500Mi",
            ],
        );
        let threshold = |signal, below, grace, reclaim| Threshold {
            signal,
            below,
            grace,
            reclaim,
        };
        let minute = Some(Duration::from_secs(90));
        let more = Some(Amount::Whole(500 << 20));
        assert_eq!(
            all,
            Ok(vec![
                threshold(Signal::Memory, Amount::Whole(1 << 30), None, None),
                threshold(Signal::NodeFs, Amount::Part(0.15), minute, more),
                threshold(Signal::Memory, Amount::Whole(2 << 30), None, None),
            ])
        );
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (hard, rest, said) in [
            (
                "cpu.available<1",
                ["", "", ""],
                "unsupported eviction signal cpu.available",
            ),
            (
                "memory.available",
                ["", "", ""],
                "\"memory.available\" is not of the form signal<value",
            ),
            (
                "memory.available<0",
                ["", "", ""],
                "\"0\" of memory.available is neither",
            ),
            (
                "memory.available<-1",
                ["", "", ""],
                "\"-1\" of memory.available is neither",
            ),
            (
                "nodefs.available<101%",
                ["", "", ""],
                "\"101%\" of nodefs.available is neither",
            ),
            (
                "",
                ["memory.available<1Gi", "", ""],
                "grace period must be specified for the soft eviction threshold memory.available",
            ),
            (
                "",
                ["memory.available<1Gi", "memory.available=soon", ""],
                "\"soon\" of memory.available is not a duration",
            ),
            (
                "",
                ["", "", "memory.available=x"],
                "\"x\" of memory.available is neither",
            ),
        ] {
            let error = read(Some(hard), rest).unwrap_err();
            assert!(error.starts_with(said), "{error}");
        }
    }
}
