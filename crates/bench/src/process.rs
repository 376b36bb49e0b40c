//! What processes use, as /proc tells.

use std::path::Path;
use std::time::Duration;

/// Microseconds in one tick of the kernel's accounts, 100 a second on every
/// architecture that Kubernetes runs on.
const TICK_MICROS: u64 = 10_000;

/// Processor time that a process has used, its ended threads included.
pub fn cpu(pid: u32) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    Duration::from_micros(ticks(&stat) * TICK_MICROS)
}

/// User and system time in a line of /proc/PID/stat. The program's name may
/// hold spaces and parentheses, so what counts begins after the last one.
fn ticks(stat: &str) -> u64 {
    let fields = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let fields = fields.split_ascii_whitespace().skip(11).take(2);
    fields.filter_map(|field| field.parse::<u64>().ok()).sum()
}

/// Bytes of memory.
#[derive(Clone, Copy, Debug, Default)]
pub struct Memory {
    /// Resident.
    pub resident: u64,
    /// Resident, with what is shared divided among those who share it.
    pub proportional: u64,
}

/// The memory of a process.
pub fn memory(pid: u32) -> Memory {
    let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
    Memory {
        resident: kibibytes(&text, "Rss:") * 1024,
        proportional: kibibytes(&text, "Pss:") * 1024,
    }
}

fn kibibytes(text: &str, name: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let number = line.and_then(|rest| rest.split_ascii_whitespace().next());
    number.and_then(|n| n.parse().ok()).unwrap_or_default()
}

/// All processes that run a program.
pub fn running(program: &Path) -> Vec<u32> {
    let Ok(entries) = std::fs::read_dir("/proc") else {
        return Vec::new();
    };
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
    pids.filter(|pid| std::fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|p| p == program))
        .collect()
}

/// Processor time of the server and of ourselves.
#[derive(Clone, Copy, Debug, Default)]
pub struct Spent {
    /// The server's.
    pub server: Duration,
    /// Ours.
    pub client: Duration,
}

impl Spent {
    /// What was spent up to now.
    pub fn now(server: &[u32]) -> Self {
        Spent {
            server: server.iter().map(|pid| cpu(*pid)).sum(),
            client: cpu(std::process::id()),
        }
    }

    /// What was spent since then.
    pub fn since(self, then: Spent) -> Self {
        Spent {
            server: self.server.saturating_sub(then.server),
            client: self.client.saturating_sub(then.client),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_does_not_shift_the_fields() {
        let stat = "7 (a) b (c)) S 1 2 3 4 5 6 7 8 9 10 250 50 0 0 20";
        assert_eq!(ticks(stat), 300);
    }

    #[test]
    fn this_process_uses_memory() {
        assert!(memory(std::process::id()).resident > 100_000);
    }
}
