//! What a group uses, read from its files.

use std::path::Path;

use super::files::{keyed, lookup, number, read};
use super::{Error, Group, Result};

/// Use of a group. Files that the machine does not have read as zero.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// CPU time, all cores.
    pub cpu_ns: u64,
    /// All memory charged.
    pub memory_bytes: u64,
    /// Memory less inactive file pages.
    pub working_set_bytes: u64,
    /// Anonymous memory.
    pub rss_bytes: u64,
    /// The limit, if there is one.
    pub memory_limit_bytes: Option<u64>,
    /// Page faults.
    pub page_faults: u64,
    /// Page faults that needed the disk.
    pub major_page_faults: u64,
    /// Processes and threads.
    pub pids: u64,
}

impl Group {
    /// Reads what it uses.
    pub fn usage(&self) -> Result<Usage> {
        if self.cgroups.v1.is_empty() {
            usage_v2(&self.unified().ok_or(Error::NotMounted)?)
        } else {
            self.usage_v1()
        }
    }

    /// How often the out-of-memory killer struck in it or below it.
    pub fn oom_kills(&self) -> Result<u64> {
        if let Some(memory) = self.v1("memory") {
            let own = keyed(&memory.join("memory.oom_control"), "oom_kill")?.unwrap_or(0);
            return Ok(own);
        }
        let directory = self.unified().ok_or(Error::NotMounted)?;
        Ok(keyed(&directory.join("memory.events"), "oom_kill")?.unwrap_or(0))
    }

    fn usage_v1(&self) -> Result<Usage> {
        let mut usage = Usage::default();
        if let Some(directory) = self.v1("cpuacct") {
            usage.cpu_ns = number(&directory.join("cpuacct.usage"))?.unwrap_or(0);
        }
        if let Some(directory) = self.v1("memory") {
            usage.memory_bytes = number(&directory.join("memory.usage_in_bytes"))?.unwrap_or(0);
            let limit = number(&directory.join("memory.limit_in_bytes"))?;
            // No limit is the largest multiple of a page.
            usage.memory_limit_bytes = limit.filter(|limit| *limit < i64::MAX as u64 - (1 << 20));
            let stat = read(&directory.join("memory.stat"))?;
            usage.memory_stat(&stat, "total_rss", "total_inactive_file", "total_");
        }
        if let Some(directory) = self.v1("pids") {
            usage.pids = number(&directory.join("pids.current"))?.unwrap_or(0);
        }
        Ok(usage)
    }
}

fn usage_v2(directory: &Path) -> Result<Usage> {
    let mut usage = Usage {
        cpu_ns: keyed(&directory.join("cpu.stat"), "usage_usec")?.unwrap_or(0) * 1000,
        memory_bytes: number(&directory.join("memory.current"))?.unwrap_or(0),
        memory_limit_bytes: number(&directory.join("memory.max"))?,
        pids: number(&directory.join("pids.current"))?.unwrap_or(0),
        ..Usage::default()
    };
    let stat = read(&directory.join("memory.stat"))?;
    usage.memory_stat(&stat, "anon", "inactive_file", "");
    Ok(usage)
}

impl Usage {
    fn memory_stat(&mut self, stat: &str, rss: &str, inactive: &str, prefix: &str) {
        let value = |key: &str| lookup(stat, key).unwrap_or(0);
        self.rss_bytes = value(rss);
        self.working_set_bytes = self.memory_bytes.saturating_sub(value(inactive));
        self.page_faults = value(&format!("{prefix}pgfault"));
        self.major_page_faults = value(&format!("{prefix}pgmajfault"));
    }
}
