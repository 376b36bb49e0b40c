//! The last steps of a new process: who it is, what it may do, and its program.

use std::ffi::CString;
use std::io;
use std::os::fd::BorrowedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use linux::caps::CapSet;
use linux::seccomp::{self, Program};
use rustix::fs::{Gid, Mode, Uid};
use rustix::process::Signal;

use super::rootfs::{Result, read_small};
use crate::config::{ContainerConfig, Seccomp};
use crate::users::{self, Resolved};

/// What a process is and may do, decided while the host is still visible.
pub(super) struct Identity {
    capabilities: CapSet,
    filter: Option<Program>,
    no_new_privileges: bool,
}

impl Identity {
    /// Decides it from the configuration; reads a seccomp profile of the host.
    pub(super) fn of(config: &ContainerConfig) -> Result<Identity> {
        let security = &config.security;
        let capabilities = capabilities(config)?;
        let profile = match &security.seccomp {
            _ if security.privileged => None,
            Seccomp::Unconfined => None,
            Seccomp::RuntimeDefault => Some(seccomp::default_profile(capabilities)),
            Seccomp::Localhost(path) => {
                let json = std::fs::read(path)
                    .map_err(|error| format!("seccomp profile {}: {error}", path.display()))?;
                Some(seccomp::parse(&json, capabilities).map_err(|error| {
                    format!("seccomp profile {}: {}", path.display(), chain(&error))
                })?)
            }
        };
        let filter = profile.map(|profile| seccomp::compile(&profile));
        let filter = filter.transpose().map_err(|error| chain(&error))?;
        let no_new_privileges = security.no_new_privileges;
        Ok(Identity {
            capabilities,
            filter,
            no_new_privileges,
        })
    }

    /// Becomes the user. Afterwards the process has only what the container may have.
    pub(super) fn assume(&self, user: &Resolved) -> Result<()> {
        let step = |what: &'static str| move |error: rustix::io::Errno| format!("{what}: {error}");
        rustix::process::umask(Mode::from_raw_mode(0o022));
        rustix::thread::set_keep_capabilities(true).map_err(step("keep capabilities"))?;
        let io_step = |what: &'static str| move |error: io::Error| format!("{what}: {error}");
        self.capabilities
            .limit_bounding()
            .map_err(io_step("limit capabilities"))?;
        // Without no_new_privs a filter needs CAP_SYS_ADMIN, which is still there.
        if !self.no_new_privileges {
            self.install_filter()?;
        }
        let groups: Vec<_> = user
            .user
            .supplemental_groups
            .iter()
            .map(|gid| Gid::from_raw(*gid))
            .collect();
        rustix::thread::set_thread_groups(&groups).map_err(step("set groups"))?;
        let (uid, gid) = (Uid::from_raw(user.user.uid), Gid::from_raw(user.user.gid));
        rustix::thread::set_thread_res_gid(gid, gid, gid).map_err(step("set group"))?;
        rustix::thread::set_thread_res_uid(uid, uid, uid).map_err(step("set user"))?;
        rustix::thread::set_keep_capabilities(false).map_err(step("drop capabilities"))?;
        self.capabilities
            .apply()
            .map_err(io_step("set capabilities"))?;
        // Changing the user has taken it away.
        rustix::process::set_parent_process_death_signal(Some(Signal::KILL))
            .map_err(step("tie to the monitor"))?;
        if self.no_new_privileges {
            rustix::thread::set_no_new_privs(true).map_err(step("set no_new_privs"))?;
            self.install_filter()?;
        }
        Ok(())
    }

    fn install_filter(&self) -> Result<()> {
        let Some(filter) = &self.filter else {
            return Ok(());
        };
        filter
            .install()
            .map_err(|error| format!("install the seccomp filter: {error}"))
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}

fn capabilities(config: &ContainerConfig) -> Result<CapSet> {
    let security = &config.security;
    let may = CapSet::bounding();
    if security.privileged {
        return Ok(may);
    }
    let mut set = CapSet::container_default();
    let all = |names: &[String]| names.iter().any(|name| name.eq_ignore_ascii_case("ALL"));
    // As containerd: a whole set first, then single ones, dropping last.
    if all(&security.add_capabilities) {
        set = CapSet::all();
    }
    if all(&security.drop_capabilities) {
        set = CapSet::EMPTY;
    }
    for name in &security.add_capabilities {
        if !name.eq_ignore_ascii_case("ALL") && !set.add(name) {
            return Err(format!("unknown capability {name:?}"));
        }
    }
    for name in &security.drop_capabilities {
        if !name.eq_ignore_ascii_case("ALL") && !set.remove(name) {
            return Err(format!("unknown capability {name:?}"));
        }
    }
    // What this machine's root does not have cannot be given.
    Ok(set.and(may))
}

/// Looks up the user in the container's own files.
pub(super) fn resolve_user(config: &ContainerConfig) -> Result<Resolved> {
    users::resolve(
        config,
        &read_small("/etc/passwd"),
        &read_small("/etc/group"),
    )
}

/// Gives the standard streams to the user, so that it can open `/dev/stdout`
/// again. Those that are shared files of the host stay as they are.
pub(super) fn own_streams(streams: &[BorrowedFd<'_>], user: &Resolved) {
    for stream in streams {
        let Ok(stat) = rustix::fs::fstat(stream) else {
            continue;
        };
        let kind = rustix::fs::FileType::from_raw_mode(stat.st_mode);
        let ours = kind == rustix::fs::FileType::Fifo || terminal(&stat);
        if ours {
            // A stream that cannot be given away can still be used.
            let _ = rustix::fs::fchown(stream, Some(Uid::from_raw(user.user.uid)), None);
        }
    }
}

fn terminal(stat: &rustix::fs::Stat) -> bool {
    let pseudo = (136..=143).contains(&rustix::fs::major(stat.st_rdev));
    rustix::fs::FileType::from_raw_mode(stat.st_mode) == rustix::fs::FileType::CharacterDevice
        && pseudo
}

/// Makes and enters the working directory.
pub(super) fn enter_directory(directory: &str) -> Result<()> {
    let describe = |error: &dyn std::fmt::Display| format!("chdir to cwd ({directory:?}): {error}");
    if !directory.starts_with('/') {
        return Err(describe(&"not an absolute path"));
    }
    if std::fs::metadata(directory).is_err() {
        // A failure shows in the next step, with the better message.
        let _ = std::fs::create_dir_all(directory);
    }
    rustix::process::chdir(directory).map_err(|error| describe(&error))?;
    // A descriptor of the host under /proc/self/fd would lead out of the root.
    let current = rustix::process::getcwd(Vec::new()).map_err(|error| describe(&error))?;
    if !current.as_bytes().starts_with(b"/") {
        return Err(describe(&"outside of the container's root"));
    }
    Ok(())
}

/// What is executed: found in the container, all strings ready.
pub(super) struct Command {
    program: CString,
    arguments: Vec<CString>,
    environment: Vec<CString>,
}

impl Command {
    /// Finds the program as a shell would, in the environment's `PATH`.
    pub(super) fn find(arguments: &[String], environment: &[String]) -> Result<Command> {
        let name = arguments.first().filter(|name| !name.is_empty());
        let name = name.ok_or("no command specified")?;
        let program = locate(name, environment)?;
        let strings = |list: &[String]| -> Result<Vec<CString>> {
            let one = |text: &String| CString::new(text.as_str());
            let all = list
                .iter()
                .map(one)
                .collect::<std::result::Result<Vec<_>, _>>();
            all.map_err(|_| "an argument or variable holds a zero byte".to_owned())
        };
        let program = CString::new(program.as_os_str().as_bytes())
            .map_err(|_| "the command holds a zero byte".to_owned())?;
        let (arguments, environment) = (strings(arguments)?, strings(environment)?);
        Ok(Command {
            program,
            arguments,
            environment,
        })
    }

    /// Executes it. Returns only to say why it could not.
    pub(super) fn exec(&self) -> String {
        let error = linux::process::exec(&self.program, &self.arguments, &self.environment);
        format!("exec {}: {}", self.program.to_string_lossy(), plain(&error))
    }
}

/// The wording is runc's, which users search for.
fn locate(name: &str, environment: &[String]) -> Result<PathBuf> {
    if name.contains('/') {
        return match executable(Path::new(name)) {
            Ok(()) => Ok(name.into()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(format!(
                "exec: {name:?}: stat {name}: no such file or directory"
            )),
            Err(error) => Err(format!("exec: {name:?}: {}", plain(&error))),
        };
    }
    let path = environment
        .iter()
        .find_map(|entry| entry.strip_prefix("PATH="));
    let mut denied = false;
    for directory in path.unwrap_or_default().split(':') {
        let directory = if directory.is_empty() { "." } else { directory };
        let candidate = Path::new(directory).join(name);
        match executable(&candidate) {
            Ok(()) => return Ok(candidate),
            Err(error) => denied |= error.kind() == io::ErrorKind::PermissionDenied,
        }
    }
    if denied {
        return Err(format!("exec: {name:?}: permission denied"));
    }
    Err(format!(
        "exec: {name:?}: executable file not found in $PATH"
    ))
}

fn executable(path: &Path) -> io::Result<()> {
    let metadata = std::fs::metadata(path)?;
    if metadata.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    if metadata.permissions().mode() & 0o111 == 0 {
        return Err(io::ErrorKind::PermissionDenied.into());
    }
    Ok(())
}

fn plain(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        io::ErrorKind::IsADirectory => "is a directory".to_owned(),
        io::ErrorKind::NotFound => "no such file or directory".to_owned(),
        _ => error.to_string(),
    }
}
