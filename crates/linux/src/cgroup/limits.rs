//! Limits, written as either version spells them.

use std::collections::BTreeMap;
use std::path::Path;

use super::files::{read, write};
use super::{Error, Group, Result};

/// Limits of a group. `None` leaves what is in force.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of memory; -1 lifts the limit.
    pub memory_bytes: Option<i64>,
    /// Bytes of memory and swap together; absent with a memory limit means no swap.
    pub memory_swap_bytes: Option<i64>,
    /// Weight, 1024 for a core's worth.
    pub cpu_shares: Option<u64>,
    /// Microseconds per period; -1 lifts the limit.
    pub cpu_quota_us: Option<i64>,
    /// Microseconds.
    pub cpu_period_us: Option<u64>,
    /// Processes and threads; 0 or less lifts the limit.
    pub pids: Option<i64>,
    /// CPUs.
    pub cpuset_cpus: Option<String>,
    /// Memory nodes.
    pub cpuset_mems: Option<String>,
    /// Bytes by page size such as `2MB`.
    pub hugepages: BTreeMap<String, u64>,
    /// Files of version 2 and their contents.
    pub unified: BTreeMap<String, String>,
}

const DEFAULT_PERIOD_US: u64 = 100_000;

impl Group {
    /// Puts limits in force.
    pub fn apply(&self, limits: &Limits) -> Result<()> {
        if self.cgroups.v1.is_empty() {
            let directory = self.unified().ok_or(Error::NotMounted)?;
            apply_v2(&directory, limits)
        } else {
            self.apply_v1(limits)
        }
    }

    fn apply_v1(&self, limits: &Limits) -> Result<()> {
        if let Some(name) = limits.unified.keys().next() {
            return Err(Error::Unsupported(format!(
                "the file {name:?} of version 2"
            )));
        }
        self.memory_v1(limits)?;
        self.put("cpu", "cpu.shares", limits.cpu_shares)?;
        if let Some(quota) = limits.cpu_quota_us {
            self.put(
                "cpu",
                "cpu.cfs_period_us",
                limits.cpu_period_us.or(Some(DEFAULT_PERIOD_US)),
            )?;
            self.put("cpu", "cpu.cfs_quota_us", Some(quota))?;
        } else {
            self.put("cpu", "cpu.cfs_period_us", limits.cpu_period_us)?;
        }
        self.put("pids", "pids.max", limits.pids.map(max_unless_positive))?;
        self.put("cpuset", "cpuset.cpus", limits.cpuset_cpus.as_ref())?;
        self.put("cpuset", "cpuset.mems", limits.cpuset_mems.as_ref())?;
        for (size, bytes) in &limits.hugepages {
            self.put(
                "hugetlb",
                &format!("hugetlb.{size}.limit_in_bytes"),
                Some(bytes),
            )?;
        }
        Ok(())
    }

    fn memory_v1(&self, limits: &Limits) -> Result<()> {
        let Some(memory) = limits.memory_bytes else {
            return Ok(());
        };
        let (file, with_swap) = ("memory.limit_in_bytes", "memory.memsw.limit_in_bytes");
        let both = limits.memory_swap_bytes.unwrap_or(memory);
        let directory = self.v1("memory").ok_or_else(|| missing("memory"))?;
        let swap_file = directory.join(with_swap);
        if !swap_file.exists() {
            return self.put("memory", file, Some(memory));
        }
        // Memory may never exceed memory with swap, so the order depends on the direction.
        let now = read(&swap_file)?.trim().parse::<i64>().unwrap_or(i64::MAX);
        if both == -1 || both > now {
            self.put("memory", with_swap, Some(both))?;
            self.put("memory", file, Some(memory))
        } else {
            self.put("memory", file, Some(memory))?;
            self.put("memory", with_swap, Some(both))
        }
    }

    fn put(&self, controller: &str, file: &str, value: Option<impl ToString>) -> Result<()> {
        let Some(value) = value else { return Ok(()) };
        let directory = self.v1(controller).ok_or_else(|| missing(controller))?;
        write(&directory.join(file), &value.to_string())
    }
}

fn apply_v2(directory: &Path, limits: &Limits) -> Result<()> {
    let put = |file: &str, value: String| write(&directory.join(file), &value);
    if let Some(memory) = limits.memory_bytes {
        put("memory.max", max_if_negative(memory))?;
        let swap = match limits.memory_swap_bytes {
            Some(both) if both < 0 => "max".to_owned(),
            Some(both) => (both - memory).max(0).to_string(),
            None if memory < 0 => "max".to_owned(),
            None => "0".to_owned(),
        };
        // Absent where the kernel does not account swap.
        if directory.join("memory.swap.max").exists() {
            put("memory.swap.max", swap)?;
        }
    }
    if let Some(shares) = limits.cpu_shares {
        put("cpu.weight", weight(shares).to_string())?;
    }
    if limits.cpu_quota_us.is_some() || limits.cpu_period_us.is_some() {
        let period = limits.cpu_period_us.unwrap_or(DEFAULT_PERIOD_US);
        let quota = limits
            .cpu_quota_us
            .map_or("max".to_owned(), max_if_negative);
        put("cpu.max", format!("{quota} {period}"))?;
    }
    if let Some(pids) = limits.pids {
        put("pids.max", max_unless_positive(pids))?;
    }
    if let Some(cpus) = &limits.cpuset_cpus {
        put("cpuset.cpus", cpus.clone())?;
    }
    if let Some(mems) = &limits.cpuset_mems {
        put("cpuset.mems", mems.clone())?;
    }
    for (size, bytes) in &limits.hugepages {
        put(&format!("hugetlb.{size}.max"), bytes.to_string())?;
    }
    for (file, value) in &limits.unified {
        if file.contains('/') || !file.contains('.') {
            return Err(Error::Unsupported(format!("the file {file:?}")));
        }
        put(file, value.clone())?;
    }
    Ok(())
}

/// Weight of version 2 (1 to 10,000) for shares of version 1 (2 to 262,144):
/// 2 is 1, 1024 is 100, 262,144 is 10,000, and between them a parabola in the
/// logarithms. Follows ConvertCPUSharesToCgroupV2Value of opencontainers/cgroups.
pub(super) fn weight(shares: u64) -> u64 {
    match shares {
        0 => 0,
        1 | 2 => 1,
        262_144.. => 10_000,
        _ => {
            #[allow(clippy::cast_precision_loss, reason = "shares are below 2^18")]
            let log = (shares as f64).log2();
            let exponent = (log * log + 125.0 * log) / 612.0 - 7.0 / 34.0;
            #[allow(clippy::cast_possible_truncation, reason = "between 1 and 10,000")]
            #[allow(clippy::cast_sign_loss, reason = "between 1 and 10,000")]
            {
                10_f64.powf(exponent).ceil() as u64
            }
        }
    }
}

fn max_if_negative(value: i64) -> String {
    if value < 0 {
        "max".to_owned()
    } else {
        value.to_string()
    }
}

fn max_unless_positive(value: i64) -> String {
    if value <= 0 {
        "max".to_owned()
    } else {
        value.to_string()
    }
}

fn missing(controller: &str) -> Error {
    Error::Unsupported(format!("controller {controller:?}"))
}
