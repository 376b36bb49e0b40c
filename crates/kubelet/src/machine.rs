//! The doors to this machine: facts from `/proc`, mounts, control groups.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags, ResolveFlags};
use rustix::mount::{MountFlags, UnmountFlags};

use crate::doors::{Cgroups, Disk, Machine, MachineFacts, Mounts};

/// The machine that this process runs on.
pub struct LinuxMachine;

impl Machine for LinuxMachine {
    fn facts(&self) -> MachineFacts {
        let memory = meminfo().unwrap_or_default();
        let uname = rustix::system::uname();
        MachineFacts {
            cpus: std::thread::available_parallelism()
                .map_or(1, |count| u32::try_from(count.get()).unwrap_or(1)),
            memory_bytes: memory.get("MemTotal").copied().unwrap_or(0),
            hugepages: hugepages(),
            machine_id: line("/etc/machine-id")
                .or_else(|| line("/var/lib/dbus/machine-id"))
                .unwrap_or_default(),
            system_uuid: line("/sys/class/dmi/id/product_uuid").unwrap_or_default(),
            boot_id: line("/proc/sys/kernel/random/boot_id").unwrap_or_default(),
            kernel_version: uname.release().to_string_lossy().into_owned(),
            os_image: os_image(),
            architecture: architecture().to_owned(),
            swap_bytes: memory.get("SwapTotal").copied().unwrap_or(0),
        }
    }

    fn cpu_usage_ns(&self) -> io::Result<u64> {
        // In hundredths of a second: all but idle (4th) and waiting for disks (5th).
        let text = fs::read_to_string("/proc/stat")?;
        let line = text.lines().next().unwrap_or_default();
        let ticks = line.split_whitespace().skip(1).take(8).enumerate();
        let busy = ticks.filter(|(index, _)| !matches!(index, 3 | 4));
        let busy: u64 = busy
            .filter_map(|(_, ticks)| ticks.parse::<u64>().ok())
            .sum();
        Ok(busy * 10_000_000)
    }

    fn memory_available(&self) -> io::Result<u64> {
        Ok(meminfo()?.get("MemAvailable").copied().unwrap_or(0))
    }

    fn disk(&self, path: &Path) -> io::Result<Disk> {
        let stat = rustix::fs::statvfs(path)?;
        Ok(Disk {
            capacity_bytes: stat.f_blocks * stat.f_frsize,
            available_bytes: stat.f_bavail * stat.f_frsize,
            inodes: stat.f_files,
            inodes_free: stat.f_favail,
        })
    }

    fn pids(&self) -> io::Result<(u64, u64)> {
        let loads = fs::read_to_string("/proc/loadavg")?;
        let running = loads
            .split_whitespace()
            .nth(3)
            .and_then(|field| field.split('/').nth(1))
            .and_then(|count| count.parse().ok());
        let number = |path| line(path).and_then(|text| text.parse::<u64>().ok());
        let limits = [
            number("/proc/sys/kernel/pid_max"),
            number("/proc/sys/kernel/threads-max"),
        ];
        let limit = limits.into_iter().flatten().min().unwrap_or(u64::MAX);
        Ok((running.unwrap_or(0), limit))
    }
}

fn line(path: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    Some(text.trim().to_owned()).filter(|text| !text.is_empty())
}

/// Bytes by name.
fn meminfo() -> io::Result<BTreeMap<String, u64>> {
    let text = fs::read_to_string("/proc/meminfo")?;
    let entries = text.lines().filter_map(|line| {
        let (name, value) = line.split_once(':')?;
        let kibibytes: u64 = value.split_whitespace().next()?.parse().ok()?;
        Some((name.to_owned(), kibibytes * 1024))
    });
    Ok(entries.collect())
}

/// Bytes by size of page.
fn hugepages() -> BTreeMap<String, u64> {
    let Ok(entries) = fs::read_dir("/sys/kernel/mm/hugepages") else {
        return BTreeMap::new();
    };
    let sizes = entries.filter_map(|entry| {
        let entry = entry.ok()?;
        let name = entry.file_name().into_string().ok()?;
        let kibibytes: u64 = name
            .strip_prefix("hugepages-")?
            .strip_suffix("kB")?
            .parse()
            .ok()?;
        let count: u64 = fs::read_to_string(entry.path().join("nr_hugepages"))
            .ok()?
            .trim()
            .parse()
            .ok()?;
        let size = match kibibytes {
            size if size % (1 << 20) == 0 => format!("{}Gi", size >> 20),
            size if size % (1 << 10) == 0 => format!("{}Mi", size >> 10),
            size => format!("{size}Ki"),
        };
        Some((size, count * kibibytes * 1024))
    });
    sizes.collect()
}

fn os_image() -> String {
    let text = ["/etc/os-release", "/usr/lib/os-release"]
        .into_iter()
        .find_map(|path| fs::read_to_string(path).ok())
        .unwrap_or_default();
    text.lines()
        .find_map(|line| line.strip_prefix("PRETTY_NAME="))
        .map_or_else(
            || "Linux".to_owned(),
            |name| name.trim_matches('"').to_owned(),
        )
}

/// The machine's architecture as Go names it.
pub fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "x86" => "386",
        "powerpc64" => "ppc64le",
        other => other,
    }
}

/// Mounts in this process's namespace.
pub struct LinuxMounts;

impl Mounts for LinuxMounts {
    fn tmpfs(&self, target: &Path, size: Option<u64>, mode: u32) -> io::Result<()> {
        let size = size.map_or_else(String::new, |size| format!(",size={size}"));
        let options = format!("mode={mode:o}{size}");
        let options = std::ffi::CString::new(options).map_err(io::Error::other)?;
        let flags = MountFlags::NOSUID | MountFlags::NODEV;
        rustix::mount::mount("tmpfs", target, "tmpfs", flags, options.as_c_str())?;
        Ok(())
    }

    fn layers(&self, target: &Path, lower: &[PathBuf]) -> io::Result<()> {
        // Layers are named through descriptors, which keeps the options below
        // a page. The target itself is empty and lies lowest: the kernel wants
        // two directories at least.
        let below = std::iter::once(target).chain(lower.iter().rev().map(PathBuf::as_path));
        let opened: Vec<OwnedFd> = below.map(open_directory).collect::<io::Result<_>>()?;
        let names = opened.iter().rev();
        let names: Vec<String> = names
            .map(|fd| format!("/proc/self/fd/{}", fd.as_raw_fd()))
            .collect();
        let options = format!("lowerdir={}", names.join(":"));
        let options = std::ffi::CString::new(options).map_err(io::Error::other)?;
        let flags =
            MountFlags::RDONLY | MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
        rustix::mount::mount("overlay", target, "overlay", flags, options.as_c_str())?;
        Ok(())
    }

    fn unmount(&self, target: &Path) -> io::Result<()> {
        use rustix::io::Errno;
        // Several can lie on top of each other.
        loop {
            match rustix::mount::unmount(target, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW) {
                Ok(()) => {}
                Err(Errno::INVAL | Errno::NOENT) => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn is_mounted(&self, target: &Path) -> io::Result<bool> {
        let target = fs::canonicalize(target)?;
        let table = linux::mount::table()?;
        Ok(table.iter().any(|mount| mount.mount_point == target))
    }

    fn find(&self, target: &Path, path: &Path) -> io::Result<()> {
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        rustix::fs::openat2(open_directory(target)?, path, flags, Mode::empty(), resolve)?;
        Ok(())
    }

    fn below(&self, directory: &Path) -> io::Result<Vec<PathBuf>> {
        let directory = fs::canonicalize(directory)?;
        let table = linux::mount::table()?;
        let mut points: Vec<PathBuf> = table
            .into_iter()
            .map(|mount| mount.mount_point)
            .filter(|point| point.starts_with(&directory))
            .collect();
        points.reverse();
        Ok(points)
    }
}

fn open_directory(path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(rustix::fs::open(path, flags, Mode::empty())?)
}

/// Control groups of either version.
pub struct LinuxCgroups {
    groups: linux::cgroup::Cgroups,
}

impl LinuxCgroups {
    /// Finds out what the machine has.
    pub fn detect() -> io::Result<Self> {
        let groups = linux::cgroup::Cgroups::detect().map_err(io::Error::other)?;
        Ok(Self { groups })
    }

    fn group(&self, path: &str) -> io::Result<linux::cgroup::Group> {
        self.groups.group(path).map_err(io::Error::other)
    }
}

impl Cgroups for LinuxCgroups {
    fn ensure(&self, path: &str, cpu_shares: Option<u64>) -> io::Result<()> {
        let group = self.group(path)?;
        group.create().map_err(io::Error::other)?;
        let limits = linux::cgroup::Limits {
            cpu_shares,
            ..linux::cgroup::Limits::default()
        };
        group.apply(&limits).map_err(io::Error::other)
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        let group = self.group(path)?;
        if !group.exists() {
            return Ok(());
        }
        group.kill().map_err(io::Error::other)?;
        group.remove().map_err(io::Error::other)
    }

    fn children(&self, path: &str) -> io::Result<Vec<String>> {
        let group = self.group(path)?;
        let mut names = std::collections::BTreeSet::new();
        for (_, directory) in group.views() {
            let Ok(entries) = fs::read_dir(directory) else {
                continue;
            };
            for entry in entries.flatten() {
                if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    names.extend(entry.file_name().into_string().ok());
                }
            }
        }
        Ok(names.into_iter().collect())
    }
}
