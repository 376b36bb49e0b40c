//! From a profile to the kernel's classic BPF.
//!
//! A program looks at the architecture, then walks the call numbers upwards in
//! steps: all numbers up to an end share an action, or a number has conditions on
//! its arguments. The kernel caches which calls are always allowed, so that the
//! walk is not taken for them.

use std::collections::BTreeMap;

use super::Error;
use super::profile::{Action, Argument, Operator, Profile, Rule};
use super::syscalls::SYSCALLS;

/// Instructions that the kernel runs at every system call.
pub struct Program(pub(super) Vec<libc::sock_filter>);

impl Program {
    /// Number of instructions.
    #[allow(clippy::len_without_is_empty, reason = "a program is never empty")]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The instructions as `(code, jt, jf, k)`.
    pub fn instructions(&self) -> impl Iterator<Item = (u16, u8, u8, u32)> + '_ {
        self.0.iter().map(|one| (one.code, one.jt, one.jf, one.k))
    }
}

// Offsets in the kernel's struct seccomp_data.
const NR: u32 = 0;
const ARCH: u32 = 4;
const ARGS: u32 = 16;

const LOAD: u16 = 0x20; // BPF_LD | BPF_W | BPF_ABS
const AND: u16 = 0x54; // BPF_ALU | BPF_AND | BPF_K
const JUMP: u16 = 0x05; // BPF_JMP | BPF_JA
const JEQ: u16 = 0x15;
const JGT: u16 = 0x25;
const JGE: u16 = 0x35;
const RETURN: u16 = 0x06;

const ENOSYS: u16 = 38;
#[cfg(target_arch = "x86_64")]
const X32_BIT: u32 = 0x4000_0000;

#[derive(Clone, Copy)]
struct Arch {
    audit: u32,
    column: usize,
}

#[cfg(target_arch = "x86_64")]
const NATIVE: Arch = Arch {
    audit: 0xc000_003e,
    column: 0,
};
#[cfg(target_arch = "x86_64")]
const COMPAT: Option<Arch> = Some(Arch {
    audit: 0x4000_0003,
    column: 1,
});
#[cfg(target_arch = "aarch64")]
const NATIVE: Arch = Arch {
    audit: 0xc000_00b7,
    column: 2,
};
#[cfg(target_arch = "aarch64")]
const COMPAT: Option<Arch> = None;

/// Makes the program of a profile, for this machine's architecture.
pub fn compile(profile: &Profile) -> Result<Program, Error> {
    let mut code = vec![step(LOAD, ARCH)];
    let archs = [Some(NATIVE), COMPAT.filter(|_| profile.compat)];
    for arch in archs.into_iter().flatten() {
        let section = section(profile, arch)?;
        let length = u32::try_from(section.len()).map_err(|_| Error::TooLong(section.len()))?;
        // A conditional jump reaches 255 instructions, so a long one is needed.
        code.push(branch(JEQ, arch.audit, 1, 0));
        code.push(step(JUMP, length));
        code.extend(section);
    }
    code.push(give(Action::KillProcess));
    if code.len() > 4096 {
        return Err(Error::TooLong(code.len()));
    }
    Ok(Program(code))
}

/// What happens to one call number.
enum Verdict {
    Always(Action),
    Depends(Vec<(Vec<Argument>, Action)>),
}

fn section(profile: &Profile, arch: Arch) -> Result<Vec<libc::sock_filter>, Error> {
    let verdicts = verdicts(profile, arch);
    let mut code = vec![step(LOAD, NR)];
    #[cfg(target_arch = "x86_64")]
    if arch.column == 0 {
        code.push(branch(JGE, X32_BIT, 0, 1));
        code.push(give(Action::Errno(ENOSYS)));
    }
    let mut next = 0;
    let mut run: Option<(u32, Action)> = None;
    for (number, verdict) in &verdicts {
        if *number > next {
            extend(&mut code, &mut run, number - 1, profile.default);
        }
        match verdict {
            Verdict::Always(action) => extend(&mut code, &mut run, *number, *action),
            Verdict::Depends(rules) => {
                flush(&mut code, &mut run);
                let body = body(rules, profile.default);
                let length = u8::try_from(body.len())
                    .map_err(|_| Error::Unsupported(format!("{} rules on a call", rules.len())))?;
                code.push(branch(JGT, *number, length, 0));
                code.extend(body);
            }
        }
        next = number + 1;
    }
    flush(&mut code, &mut run);
    let beyond = match profile.default {
        Action::Errno(_) => Action::Errno(ENOSYS),
        other => other,
    };
    code.push(give(beyond));
    Ok(code)
}

/// Lets the current run of equal actions reach `end`, or starts a new one.
fn extend(
    code: &mut Vec<libc::sock_filter>,
    run: &mut Option<(u32, Action)>,
    end: u32,
    action: Action,
) {
    if run.is_some_and(|(_, current)| current != action) {
        flush(code, run);
    }
    *run = Some((end, action));
}

fn flush(code: &mut Vec<libc::sock_filter>, run: &mut Option<(u32, Action)>) {
    if let Some((end, action)) = run.take() {
        code.push(branch(JGT, end, 1, 0));
        code.push(give(action));
    }
}

fn verdicts(profile: &Profile, arch: Arch) -> BTreeMap<u32, Verdict> {
    let mut verdicts = BTreeMap::new();
    for rule in &profile.rules {
        for name in &rule.names {
            if let Some(number) = number(name, arch) {
                add(&mut verdicts, number, rule);
            }
        }
    }
    verdicts
}

fn add(verdicts: &mut BTreeMap<u32, Verdict>, number: u32, rule: &Rule) {
    let entry = verdicts
        .entry(number)
        .or_insert_with(|| Verdict::Depends(Vec::new()));
    let Verdict::Depends(rules) = entry else {
        return;
    };
    if rule.arguments.is_empty() && rules.iter().all(|(_, action)| *action == rule.action) {
        *entry = Verdict::Always(rule.action);
    } else {
        rules.push((rule.arguments.clone(), rule.action));
    }
}

fn number(name: &str, arch: Arch) -> Option<u32> {
    let at = SYSCALLS
        .binary_search_by(|(known, _)| (*known).cmp(name))
        .ok()?;
    u32::try_from(SYSCALLS[at].1[arch.column]).ok()
}

fn body(rules: &[(Vec<Argument>, Action)], default: Action) -> Vec<libc::sock_filter> {
    let mut code = Vec::new();
    for (arguments, action) in rules {
        let mut rule = Vec::new();
        for argument in arguments {
            compare(&mut rule, argument);
        }
        rule.push(Step::Return(*action));
        let end = rule.len();
        code.extend(
            rule.into_iter()
                .enumerate()
                .map(|(at, step)| step.place(at, end)),
        );
    }
    code.push(give(default));
    code
}

/// An instruction whose jumps are not numbers yet.
enum Step {
    Load(u32),
    And(u32),
    Test { code: u16, k: u32, yes: To, no: To },
    Return(Action),
}

/// Where a test leads.
#[derive(Clone, Copy)]
enum To {
    /// Over this many instructions.
    Skip(u8),
    /// To the next rule.
    Fail,
}

impl Step {
    fn place(self, at: usize, end: usize) -> libc::sock_filter {
        let distance = |to: To| match to {
            To::Skip(count) => count,
            To::Fail => u8::try_from(end - at - 1).unwrap_or(u8::MAX),
        };
        match self {
            Step::Load(offset) => step(LOAD, offset),
            Step::And(mask) => step(AND, mask),
            Step::Test { code, k, yes, no } => branch(code, k, distance(yes), distance(no)),
            Step::Return(action) => give(action),
        }
    }
}

/// Goes on behind itself when the condition holds.
fn compare(code: &mut Vec<Step>, argument: &Argument) {
    let low = ARGS + 8 * argument.index;
    let high = low + 4;
    let (value_high, value_low) = halves(argument.value);
    let (next, fail) = (To::Skip(0), To::Fail);
    let mut test = |load, code_, k, yes, no| {
        if let Some(offset) = load {
            code.push(Step::Load(offset));
        }
        code.push(Step::Test {
            code: code_,
            k,
            yes,
            no,
        });
    };
    match argument.operator {
        Operator::Eq => {
            test(Some(high), JEQ, value_high, next, fail);
            test(Some(low), JEQ, value_low, next, fail);
        }
        Operator::Ne => {
            test(Some(high), JEQ, value_high, next, To::Skip(2));
            test(Some(low), JEQ, value_low, fail, next);
        }
        Operator::Gt | Operator::Ge => {
            let last = if argument.operator == Operator::Gt {
                JGT
            } else {
                JGE
            };
            test(Some(high), JGT, value_high, To::Skip(3), next);
            test(None, JEQ, value_high, next, fail);
            test(Some(low), last, value_low, next, fail);
        }
        Operator::Lt | Operator::Le => {
            let last = if argument.operator == Operator::Lt {
                JGE
            } else {
                JGT
            };
            test(Some(high), JGT, value_high, fail, next);
            test(None, JEQ, value_high, next, To::Skip(2));
            test(Some(low), last, value_low, fail, next);
        }
        Operator::MaskedEq => {
            let (two_high, two_low) = halves(argument.value_two);
            for (offset, mask, want) in [(high, value_high, two_high), (low, value_low, two_low)] {
                code.push(Step::Load(offset));
                code.push(Step::And(mask));
                code.push(Step::Test {
                    code: JEQ,
                    k: want,
                    yes: next,
                    no: fail,
                });
            }
        }
    }
}

fn halves(value: u64) -> (u32, u32) {
    ((value >> 32) as u32, (value & 0xffff_ffff) as u32)
}

fn step(code: u16, k: u32) -> libc::sock_filter {
    branch(code, k, 0, 0)
}

fn branch(code: u16, k: u32, jt: u8, jf: u8) -> libc::sock_filter {
    libc::sock_filter { code, jt, jf, k }
}

fn give(action: Action) -> libc::sock_filter {
    let value = match action {
        Action::Allow => 0x7fff_0000,
        Action::Errno(errno) => 0x0005_0000 | u32::from(errno),
        Action::KillThread => 0,
        Action::KillProcess => 0x8000_0000,
        Action::Log => 0x7ffc_0000,
        Action::Trap => 0x0003_0000,
        Action::Trace(data) => 0x7ff0_0000 | u32::from(data),
    };
    step(RETURN, value)
}
