//! Making processes: fork into namespaces, execute, signals as a descriptor.
//!
//! Only for programs with a single thread, such as the monitor of a sandbox: in
//! a fork of several threads the child may find any lock taken forever.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// What a new process gets of its own. Bits of the kernel's `CLONE_NEW…`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Namespaces(u64);

impl Namespaces {
    /// None.
    pub const NONE: Namespaces = Namespaces(0);
    /// Mounts.
    pub const MOUNT: Namespaces = Namespaces(libc::CLONE_NEWNS as u64);
    /// Process ids.
    pub const PID: Namespaces = Namespaces(libc::CLONE_NEWPID as u64);
    /// Network.
    pub const NET: Namespaces = Namespaces(libc::CLONE_NEWNET as u64);
    /// Host name.
    pub const UTS: Namespaces = Namespaces(libc::CLONE_NEWUTS as u64);
    /// System V and POSIX message queues.
    pub const IPC: Namespaces = Namespaces(libc::CLONE_NEWIPC as u64);
    /// Roots of cgroups.
    pub const CGROUP: Namespaces = Namespaces(libc::CLONE_NEWCGROUP as u64);

    /// These and those.
    pub const fn and(self, other: Namespaces) -> Namespaces {
        Namespaces(self.0 | other.0)
    }
}

/// Who returned from [`fork`].
#[derive(Debug)]
pub enum Fork {
    /// The new process.
    Child,
    /// The old one.
    Parent {
        /// The child's process id.
        pid: i32,
        /// A handle to it that is readable when it has ended.
        pidfd: OwnedFd,
    },
}

/// Does not fit the type that libc gives its flags.
const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

#[repr(C)]
#[derive(Default)]
struct CloneArgs {
    flags: u64,
    pidfd: u64,
    child_tid: u64,
    parent_tid: u64,
    exit_signal: u64,
    stack: u64,
    stack_size: u64,
    tls: u64,
    set_tid: u64,
    set_tid_size: u64,
    cgroup: u64,
}

/// Makes a process in new namespaces, and in the cgroup of version 2 that
/// `cgroup` (an open directory) names.
///
/// # Errors
/// Refused while the calling process has more than one thread.
pub fn fork(namespaces: Namespaces, cgroup: Option<BorrowedFd<'_>>) -> io::Result<Fork> {
    if threads()? != 1 {
        return Err(io::Error::other(
            "a process with several threads must not fork",
        ));
    }
    let mut pidfd: i32 = -1;
    let mut args = CloneArgs {
        flags: namespaces.0 | libc::CLONE_PIDFD as u64,
        pidfd: std::ptr::from_mut(&mut pidfd) as u64,
        exit_signal: libc::SIGCHLD as u64,
        ..CloneArgs::default()
    };
    let mut size = std::mem::offset_of!(CloneArgs, set_tid);
    if let Some(cgroup) = cgroup {
        args.flags |= CLONE_INTO_CGROUP;
        args.cgroup = u64::try_from(cgroup.as_raw_fd()).map_err(|_| io::ErrorKind::InvalidInput)?;
        size = size_of::<CloneArgs>();
    }
    // SAFETY: `args` is a valid clone_args of `size` bytes whose pointer is to a
    // live i32. Without CLONE_VM the child gets a copy of the memory and stack, as
    // after fork; there is one thread, so no lock is held by anybody else.
    let pid = unsafe { libc::syscall(libc::SYS_clone3, std::ptr::from_mut(&mut args), size) };
    match pid {
        -1 => Err(io::Error::last_os_error()),
        0 => Ok(Fork::Child),
        pid => {
            // SAFETY: the kernel has stored a new descriptor that nobody else owns.
            let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
            Ok(Fork::Parent {
                pid: i32::try_from(pid).unwrap_or(-1),
                pidfd,
            })
        }
    }
}

fn threads() -> io::Result<u64> {
    use std::os::unix::fs::MetadataExt;
    // The directory's links are itself, its parent and one for each thread.
    let links = std::fs::metadata("/proc/self/task")?.nlink();
    Ok(links.saturating_sub(2))
}

/// Replaces the program of this process. Returns only to say why it could not.
pub fn exec(program: &CString, arguments: &[CString], environment: &[CString]) -> io::Error {
    let pointers = |strings: &[CString]| -> Vec<*const libc::c_char> {
        strings
            .iter()
            .map(|one| one.as_ptr())
            .chain([std::ptr::null()])
            .collect()
    };
    let (arguments, environment) = (pointers(arguments), pointers(environment));
    // SAFETY: both arrays end with a null and point to live C strings.
    unsafe { libc::execve(program.as_ptr(), arguments.as_ptr(), environment.as_ptr()) };
    io::Error::last_os_error()
}

/// Ends this process at once: no destructors, no handlers, no flushing.
pub fn exit_now(code: i32) -> ! {
    // SAFETY: `_exit` has no preconditions and does not return.
    unsafe { libc::_exit(code) }
}

/// Gives every signal its default effect and blocks none, as a program expects
/// to find them.
pub fn reset_signals() {
    for signal in 1..=libc::SIGRTMAX() {
        // SAFETY: SIG_DFL is a valid disposition; SIGKILL and SIGSTOP merely refuse.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
    // SAFETY: the set lives during both calls.
    unsafe {
        let mut none: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const none, std::ptr::null_mut());
    }
}

/// Ignores a signal.
pub fn ignore_signal(signal: i32) {
    // SAFETY: SIG_IGN is a valid disposition.
    unsafe { libc::signal(signal, libc::SIG_IGN) };
}

/// Signals delivered through a descriptor instead of a handler.
#[derive(Debug)]
pub struct SignalFd(OwnedFd);

impl SignalFd {
    /// Blocks these signals and opens a descriptor that is readable when one is pending.
    pub fn new(signals: &[i32]) -> io::Result<SignalFd> {
        // SAFETY: the set lives during all calls and is initialised by sigemptyset.
        let fd = unsafe {
            let mut set: libc::sigset_t = std::mem::zeroed();
            libc::sigemptyset(&raw mut set);
            for signal in signals {
                libc::sigaddset(&raw mut set, *signal);
            }
            if libc::sigprocmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut()) != 0 {
                return Err(io::Error::last_os_error());
            }
            libc::signalfd(-1, &raw const set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK)
        };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the descriptor is new and nobody else owns it.
        Ok(SignalFd(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// The number of the next pending signal, if there is one.
    pub fn take(&self) -> Option<i32> {
        let mut buffer = [0_u8; size_of::<libc::signalfd_siginfo>()];
        let read = rustix::io::read(&self.0, &mut buffer).ok()?;
        let number = buffer.first_chunk().filter(|_| read == buffer.len())?;
        i32::try_from(u32::from_ne_bytes(*number)).ok()
    }
}

impl std::os::fd::AsFd for SignalFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        std::os::fd::AsFd::as_fd(&self.0)
    }
}

/// Closes every descriptor from `first` on, except those in `keep`. Nothing in
/// this process may own one of them.
pub fn close_from(first: i32, keep: &[i32]) {
    let mut keep: Vec<i32> = keep.iter().copied().filter(|fd| *fd >= first).collect();
    keep.sort_unstable();
    let mut low = first;
    for fd in keep {
        close_range(low, fd - 1);
        low = fd + 1;
    }
    close_range(low, i32::MAX);
}

fn close_range(low: i32, high: i32) {
    if low <= high {
        // SAFETY: closing descriptors; the caller vouches that nobody owns them.
        unsafe { libc::syscall(libc::SYS_close_range, low, high, 0) };
    }
}

/// Moves a descriptor to a number, so that a program finds it there.
pub fn place_fd(fd: BorrowedFd<'_>, number: i32) -> io::Result<()> {
    // SAFETY: dup2 onto a standard stream of a process about to execute; when the
    // numbers are equal it would keep close-on-exec, which fcntl clears.
    let result = unsafe {
        if fd.as_raw_fd() == number {
            libc::fcntl(number, libc::F_SETFD, 0)
        } else {
            libc::dup2(fd.as_raw_fd(), number)
        }
    };
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}

/// Gives the calling (only) thread new namespaces, except a PID namespace,
/// which would be its children's.
pub fn unshare(namespaces: Namespaces) -> io::Result<()> {
    // SAFETY: only namespace bits, which share no memory or descriptors.
    let result = unsafe { libc::unshare(namespaces.0 as libc::c_int) };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Sends a signal to a process, or with a negative id to a process group.
pub fn kill(pid: i32, signal: i32) -> io::Result<()> {
    // SAFETY: kill has no memory preconditions.
    let result = unsafe { libc::kill(pid, signal) };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Number of a signal by name (`SIGTERM`, `TERM`, `RTMIN+3`) or number.
pub fn signal_number(name: &str) -> Option<i32> {
    if let Ok(number) = name.parse::<i32>() {
        return (1..=libc::SIGRTMAX()).contains(&number).then_some(number);
    }
    let upper = name.to_ascii_uppercase();
    let short = upper.strip_prefix("SIG").unwrap_or(&upper);
    if let Some((_, number)) = SIGNALS.iter().find(|(known, _)| *known == short) {
        return Some(*number);
    }
    let real_time = |base: i32, rest: &str, sign: i32| {
        let offset = if rest.is_empty() {
            0
        } else {
            rest[1..].parse::<i32>().ok()?
        };
        let number = base + sign * offset;
        (libc::SIGRTMIN()..=libc::SIGRTMAX())
            .contains(&number)
            .then_some(number)
    };
    match (short.strip_prefix("RTMIN"), short.strip_prefix("RTMAX")) {
        (Some(rest), _) if rest.is_empty() || rest.starts_with('+') => {
            real_time(libc::SIGRTMIN(), rest, 1)
        }
        (_, Some(rest)) if rest.is_empty() || rest.starts_with('-') => {
            real_time(libc::SIGRTMAX(), rest, -1)
        }
        _ => None,
    }
}

const SIGNALS: &[(&str, i32)] = &[
    ("ABRT", libc::SIGABRT),
    ("ALRM", libc::SIGALRM),
    ("BUS", libc::SIGBUS),
    ("CHLD", libc::SIGCHLD),
    ("CLD", libc::SIGCHLD),
    ("CONT", libc::SIGCONT),
    ("FPE", libc::SIGFPE),
    ("HUP", libc::SIGHUP),
    ("ILL", libc::SIGILL),
    ("INT", libc::SIGINT),
    ("IO", libc::SIGIO),
    ("IOT", libc::SIGIOT),
    ("KILL", libc::SIGKILL),
    ("PIPE", libc::SIGPIPE),
    ("POLL", libc::SIGPOLL),
    ("PROF", libc::SIGPROF),
    ("PWR", libc::SIGPWR),
    ("QUIT", libc::SIGQUIT),
    ("SEGV", libc::SIGSEGV),
    ("STKFLT", libc::SIGSTKFLT),
    ("STOP", libc::SIGSTOP),
    ("SYS", libc::SIGSYS),
    ("TERM", libc::SIGTERM),
    ("TRAP", libc::SIGTRAP),
    ("TSTP", libc::SIGTSTP),
    ("TTIN", libc::SIGTTIN),
    ("TTOU", libc::SIGTTOU),
    ("URG", libc::SIGURG),
    ("USR1", libc::SIGUSR1),
    ("USR2", libc::SIGUSR2),
    ("VTALRM", libc::SIGVTALRM),
    ("WINCH", libc::SIGWINCH),
    ("XCPU", libc::SIGXCPU),
    ("XFSZ", libc::SIGXFSZ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_have_names() {
        assert_eq!(signal_number("SIGTERM"), Some(15));
        assert_eq!(signal_number("quit"), Some(3));
        assert_eq!(signal_number("9"), Some(9));
        assert_eq!(signal_number("RTMIN+3"), Some(libc::SIGRTMIN() + 3));
        assert_eq!(signal_number("SIGRTMAX-1"), Some(libc::SIGRTMAX() - 1));
        assert_eq!(signal_number("RTMIN+99"), None);
        assert_eq!(signal_number("NOPE"), None);
        assert_eq!(signal_number("0"), None);
    }

    #[test]
    fn a_test_with_threads_must_not_fork() {
        assert!(fork(Namespaces::NONE, None).is_err());
    }
}
