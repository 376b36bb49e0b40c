//! System call filters: profiles in Docker's and the OCI's JSON form, compiled to
//! the kernel's classic BPF.
//!
//! The compiler is ours because a profile needs several actions at once (the
//! default one answers `clone3` with ENOSYS and others with EPERM) and a second
//! architecture (32-bit programs on a 64-bit kernel), and libseccomp is LGPL.
//!
//! A system call that is newer than everything a profile names is answered with
//! ENOSYS rather than the profile's errno, so that libraries fall back to what
//! they used before it existed. Follows runc's libcontainer/seccomp/patchbpf.

mod compile;
mod default;
mod profile;
mod syscalls;

use std::io;

pub use compile::{Program, compile};
pub use default::default_profile;
pub use profile::{Action, Argument, Operator, Profile, Rule, parse};

/// A profile that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It is not JSON of the expected form.
    #[error("cannot parse the seccomp profile")]
    Parse(#[source] serde_json::Error),
    /// It wants something that this program does not do.
    #[error("seccomp profile: {0} is not supported")]
    Unsupported(String),
    /// The program would be longer than the kernel takes.
    #[error("seccomp profile: {0} instructions are more than the kernel's 4096")]
    TooLong(usize),
}

impl Program {
    /// Filters the calling thread, for good and for all that it will execute.
    /// Needs no_new_privs or CAP_SYS_ADMIN.
    pub fn install(&self) -> io::Result<()> {
        let program = libc::sock_fprog {
            len: u16::try_from(self.0.len()).map_err(|_| io::ErrorKind::InvalidInput)?,
            filter: self.0.as_ptr().cast_mut(),
        };
        // SAFETY: `program` points to `len` initialised instructions, which the
        // kernel only reads and copies during the call.
        let result = unsafe {
            libc::syscall(
                libc::SYS_seccomp,
                libc::SECCOMP_SET_MODE_FILTER,
                0,
                std::ptr::from_ref(&program),
            )
        };
        if result == 0 {
            Ok(())
        } else {
            Err(io::Error::last_os_error())
        }
    }
}

#[cfg(test)]
mod tests;
