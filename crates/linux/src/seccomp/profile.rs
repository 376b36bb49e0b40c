//! A seccomp profile as a value, and its JSON form.
//!
//! The form is that of the OCI runtime specification's `linux.seccomp`, with
//! Docker's `archMap`, `includes` and `excludes`.

use serde::Deserialize;

use super::Error;
use crate::caps::CapSet;

/// Which system calls may be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    /// What happens to a call that no rule matches.
    pub default: Action,
    /// Whether 32-bit programs may run at all (on x86_64).
    pub compat: bool,
    /// In order; the first that matches decides.
    pub rules: Vec<Rule>,
}

/// What happens to calls of some names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// The calls. Names that an architecture does not have are skipped.
    pub names: Vec<String>,
    /// What happens.
    pub action: Action,
    /// All must hold.
    pub arguments: Vec<Argument>,
}

/// A condition on an argument of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Argument {
    /// Which argument, from 0.
    pub index: u32,
    /// How it is compared.
    pub operator: Operator,
    /// With what; the mask of `MaskedEq`.
    pub value: u64,
    /// What `MaskedEq` compares with.
    pub value_two: u64,
}

/// Comparison of an argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Operator {
    Ne,
    Lt,
    Le,
    Eq,
    Ge,
    Gt,
    MaskedEq,
}

/// What the kernel does with a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Lets it pass.
    Allow,
    /// Answers with this errno.
    Errno(u16),
    /// Kills the thread.
    KillThread,
    /// Kills the process.
    KillProcess,
    /// Lets it pass and logs it.
    Log,
    /// Sends SIGSYS.
    Trap,
    /// Asks a tracer.
    Trace(u16),
}

/// Reads a profile file. `capabilities` are those of the container, on which
/// `includes` and `excludes` depend.
pub fn parse(json: &[u8], capabilities: CapSet) -> Result<Profile, Error> {
    let file: File = serde_json::from_slice(json).map_err(Error::Parse)?;
    if file.listener_path.is_some() {
        return Err(Error::Unsupported("listenerPath".to_owned()));
    }
    let default = action(&file.default_action, file.default_errno_ret)?;
    let mut rules = Vec::new();
    for call in file.syscalls {
        if !call.applies(capabilities) {
            continue;
        }
        let action = action(&call.action, call.errno_ret)?;
        let names: Vec<_> = call.names.into_iter().chain(call.name).collect();
        for arguments in alternatives(call.args)? {
            rules.push(Rule {
                names: names.clone(),
                action,
                arguments,
            });
        }
    }
    let listed = |arch: &str| file.architectures.iter().any(|name| name == arch);
    let mapped = |arch: &str| {
        file.arch_map.iter().any(|map| {
            map.architecture == NATIVE && map.sub_architectures.iter().any(|a| a == arch)
        })
    };
    let compat = listed("SCMP_ARCH_X86") || mapped("SCMP_ARCH_X86");
    Ok(Profile {
        default,
        compat,
        rules,
    })
}

#[cfg(target_arch = "x86_64")]
const NATIVE: &str = "SCMP_ARCH_X86_64";
#[cfg(not(target_arch = "x86_64"))]
const NATIVE: &str = "SCMP_ARCH_AARCH64";
#[cfg(target_arch = "x86_64")]
const NATIVE_SHORT: &str = "amd64";
#[cfg(not(target_arch = "x86_64"))]
const NATIVE_SHORT: &str = "arm64";

/// Conditions on different arguments must all hold, several on one argument are
/// alternatives, as runc understands them.
fn alternatives(args: Vec<FileArg>) -> Result<Vec<Vec<Argument>>, Error> {
    let arguments = args.iter().map(argument).collect::<Result<Vec<_>, _>>()?;
    let repeated = arguments
        .iter()
        .enumerate()
        .any(|(at, one)| arguments[..at].iter().any(|other| other.index == one.index));
    if repeated {
        return Ok(arguments.into_iter().map(|one| vec![one]).collect());
    }
    Ok(vec![arguments])
}

fn argument(arg: &FileArg) -> Result<Argument, Error> {
    let operator = match arg.op.as_str() {
        "SCMP_CMP_NE" => Operator::Ne,
        "SCMP_CMP_LT" => Operator::Lt,
        "SCMP_CMP_LE" => Operator::Le,
        "SCMP_CMP_EQ" => Operator::Eq,
        "SCMP_CMP_GE" => Operator::Ge,
        "SCMP_CMP_GT" => Operator::Gt,
        "SCMP_CMP_MASKED_EQ" => Operator::MaskedEq,
        other => return Err(Error::Unsupported(format!("operator {other:?}"))),
    };
    if arg.index > 5 {
        return Err(Error::Unsupported(format!("argument index {}", arg.index)));
    }
    Ok(Argument {
        index: arg.index,
        operator,
        value: arg.value,
        value_two: arg.value_two,
    })
}

fn action(name: &str, errno: Option<u16>) -> Result<Action, Error> {
    let eperm = 1;
    Ok(match name {
        "SCMP_ACT_ALLOW" => Action::Allow,
        "SCMP_ACT_ERRNO" => Action::Errno(errno.unwrap_or(eperm)),
        "SCMP_ACT_KILL" | "SCMP_ACT_KILL_THREAD" => Action::KillThread,
        "SCMP_ACT_KILL_PROCESS" => Action::KillProcess,
        "SCMP_ACT_LOG" => Action::Log,
        "SCMP_ACT_TRAP" => Action::Trap,
        "SCMP_ACT_TRACE" => Action::Trace(errno.unwrap_or(eperm)),
        other => return Err(Error::Unsupported(format!("action {other:?}"))),
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct File {
    default_action: String,
    default_errno_ret: Option<u16>,
    #[serde(default)]
    architectures: Vec<String>,
    #[serde(default)]
    arch_map: Vec<ArchMap>,
    #[serde(default)]
    syscalls: Vec<FileRule>,
    listener_path: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ArchMap {
    architecture: String,
    #[serde(default)]
    sub_architectures: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct FileRule {
    #[serde(default)]
    names: Vec<String>,
    name: Option<String>,
    action: String,
    errno_ret: Option<u16>,
    #[serde(default, deserialize_with = "null_is_empty")]
    args: Vec<FileArg>,
    #[serde(default)]
    includes: Filter,
    #[serde(default)]
    excludes: Filter,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct FileArg {
    index: u32,
    value: u64,
    #[serde(default)]
    value_two: u64,
    op: String,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Filter {
    #[serde(default)]
    caps: Vec<String>,
    #[serde(default)]
    arches: Vec<String>,
    min_kernel: Option<String>,
}

impl FileRule {
    fn applies(&self, capabilities: CapSet) -> bool {
        let has = |cap: &String| capabilities.contains(cap);
        let native = |arch: &String| arch == NATIVE_SHORT;
        let new_enough = |version: &String| kernel_at_least(version);
        self.includes.caps.iter().all(has)
            && (self.includes.arches.is_empty() || self.includes.arches.iter().any(native))
            && self.includes.min_kernel.iter().all(new_enough)
            && !self.excludes.caps.iter().any(has)
            && !self.excludes.arches.iter().any(native)
            && !self.excludes.min_kernel.iter().any(new_enough)
    }
}

fn kernel_at_least(version: &str) -> bool {
    let numbers = |text: &str| -> Vec<u32> {
        text.split(|c: char| !c.is_ascii_digit())
            .take(2)
            .map(|n| n.parse().unwrap_or(0))
            .collect()
    };
    let release = rustix::system::uname()
        .release()
        .to_string_lossy()
        .into_owned();
    numbers(&release) >= numbers(version)
}

fn null_is_empty<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Vec<FileArg>, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or_default())
}
