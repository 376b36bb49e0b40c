//! Which devices the processes of a group may use: files in version 1, a BPF
//! program in version 2.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use super::files::write;
use super::{Error, Group, Result};

/// One permission. All that no rule allows is denied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeviceRule {
    /// Character, block or both.
    pub kind: DeviceKind,
    /// Major number; all when absent.
    pub major: Option<u32>,
    /// Minor number; all when absent.
    pub minor: Option<u32>,
    /// What may be done.
    pub access: Access,
}

/// Kind of a device node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceKind {
    /// Either.
    All,
    /// `b`.
    Block,
    /// `c`.
    Char,
}

/// Letters of `rwm` as bits of the kernel: 1 mknod, 2 read, 4 write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access(u32);

impl Access {
    /// Reading, writing and making nodes.
    pub const ALL: Access = Access(7);
    /// Making nodes.
    pub const MKNOD: Access = Access(1);

    /// From letters of `rwm`; others are no access.
    pub fn from_letters(letters: &str) -> Access {
        let bit = |letter, bit| if letters.contains(letter) { bit } else { 0 };
        Access(bit('m', 1) | bit('r', 2) | bit('w', 4))
    }

    fn letters(self) -> String {
        let letters = [('r', 2), ('w', 4), ('m', 1)];
        letters
            .iter()
            .filter(|(_, bit)| self.0 & bit != 0)
            .map(|(letter, _)| letter)
            .collect()
    }
}

impl Group {
    /// Allows these devices and no others.
    pub fn set_devices(&self, rules: &[DeviceRule]) -> Result<()> {
        if let Some(directory) = self.v1("devices") {
            write(&directory.join("devices.deny"), "a")?;
            let allow = directory.join("devices.allow");
            return rules
                .iter()
                .try_for_each(|rule| write(&allow, &rule.line()));
        }
        if !self.cgroups.v1.is_empty() {
            return Err(Error::Unsupported("controller \"devices\"".to_owned()));
        }
        self.filter_devices(rules)
    }

    fn filter_devices(&self, rules: &[DeviceRule]) -> Result<()> {
        let group = self.open_unified()?.ok_or(Error::NotMounted)?;
        let path = self.unified().unwrap_or_default();
        let failed = |source| Error::DeviceFilter {
            path: path.clone(),
            source,
        };
        let program = load(&program(rules)).map_err(failed)?;
        attach(&group, &program).map_err(failed)
    }
}

impl DeviceRule {
    fn line(&self) -> String {
        let kind = match self.kind {
            DeviceKind::All => return "a *:* rwm".to_owned(),
            DeviceKind::Block => 'b',
            DeviceKind::Char => 'c',
        };
        let number = |number: Option<u32>| number.map_or("*".to_owned(), |n| n.to_string());
        format!(
            "{kind} {}:{} {}",
            number(self.major),
            number(self.minor),
            self.access.letters()
        )
    }
}

/// An instruction of extended BPF.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Instruction {
    code: u8,
    registers: u8,
    offset: i16,
    immediate: i32,
}

/// Context: type in the low half and access in the high half of the first word,
/// then major, then minor. Registers: r1 context, r2 type, r3 access, r4 major,
/// r5 minor, r0 and r6 scratch.
fn program(rules: &[DeviceRule]) -> Vec<Instruction> {
    let load = |to: u8, offset| Instruction {
        code: 0x61,
        registers: 0x10 | to,
        offset,
        immediate: 0,
    };
    let alu = |code, to: u8, immediate| Instruction {
        code,
        registers: to,
        offset: 0,
        immediate,
    };
    let mut code = vec![
        load(2, 0),
        alu(0x54, 2, 0xffff), // r2 &= 0xffff
        load(3, 0),
        alu(0x74, 3, 16), // r3 >>= 16
        load(4, 4),
        load(5, 8),
    ];
    for rule in rules {
        let body = rule_body(rule);
        code.extend(body);
    }
    code.push(alu(0xb4, 0, 0)); // r0 = 0
    code.push(EXIT);
    code
}

const EXIT: Instruction = Instruction {
    code: 0x95,
    registers: 0,
    offset: 0,
    immediate: 0,
};

#[allow(
    clippy::cast_possible_wrap,
    reason = "the kernel compares the same 32 bits"
)]
fn rule_body(rule: &DeviceRule) -> Vec<Instruction> {
    // Each test leaves for the next rule unless equal; distances are patched below.
    let unless = |register: u8, value: u32| Instruction {
        code: 0x56,
        registers: register,
        offset: 0,
        immediate: value as i32,
    };
    let mut code = Vec::new();
    match rule.kind {
        DeviceKind::All => {}
        DeviceKind::Block => code.push(unless(2, 1)),
        DeviceKind::Char => code.push(unless(2, 2)),
    }
    if rule.access != Access::ALL {
        // r6 = r3; r6 &= what the rule does not give
        code.push(Instruction {
            code: 0xbc,
            registers: 0x36,
            offset: 0,
            immediate: 0,
        });
        let beyond = !rule.access.0 & 7;
        code.push(Instruction {
            code: 0x54,
            registers: 6,
            offset: 0,
            immediate: beyond as i32,
        });
        code.push(unless(6, 0));
    }
    code.extend(rule.major.map(|major| unless(4, major)));
    code.extend(rule.minor.map(|minor| unless(5, minor)));
    code.push(Instruction {
        code: 0xb4,
        registers: 0,
        offset: 0,
        immediate: 1,
    });
    code.push(EXIT);
    let end = code.len();
    for (at, one) in code.iter_mut().enumerate() {
        if one.code == 0x56 {
            one.offset = i16::try_from(end - at - 1).unwrap_or(i16::MAX);
        }
    }
    code
}

const BPF_PROG_LOAD: i32 = 5;
const BPF_PROG_ATTACH: i32 = 8;
const BPF_PROG_TYPE_CGROUP_DEVICE: u32 = 15;
const BPF_CGROUP_DEVICE: u32 = 6;

#[repr(C)]
#[derive(Default)]
struct LoadArgs {
    prog_type: u32,
    insn_cnt: u32,
    insns: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log_buf: u64,
    kern_version: u32,
    prog_flags: u32,
}

fn load(code: &[Instruction]) -> io::Result<OwnedFd> {
    let args = LoadArgs {
        prog_type: BPF_PROG_TYPE_CGROUP_DEVICE,
        insn_cnt: u32::try_from(code.len()).map_err(|_| io::ErrorKind::InvalidInput)?,
        insns: code.as_ptr() as u64,
        license: c"Apache-2.0".as_ptr() as u64,
        ..LoadArgs::default()
    };
    // SAFETY: `args` is the head of a bpf_attr whose pointers are to live memory.
    let fd = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            BPF_PROG_LOAD,
            std::ptr::from_ref(&args),
            size_of::<LoadArgs>(),
        )
    };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the descriptor is new and nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(i32::try_from(fd).unwrap_or(-1)) })
}

#[repr(C)]
struct AttachArgs {
    target_fd: i32,
    attach_bpf_fd: i32,
    attach_type: u32,
    attach_flags: u32,
}

/// A program without flags replaces the one that this group had.
fn attach(group: &OwnedFd, program: &OwnedFd) -> io::Result<()> {
    let args = AttachArgs {
        target_fd: group.as_raw_fd(),
        attach_bpf_fd: program.as_raw_fd(),
        attach_type: BPF_CGROUP_DEVICE,
        attach_flags: 0,
    };
    // SAFETY: `args` is the head of a bpf_attr and both descriptors are open.
    let result = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            BPF_PROG_ATTACH,
            std::ptr::from_ref(&args),
            size_of::<AttachArgs>(),
        )
    };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(kind: DeviceKind, major: u32, minor: u32, letters: &str) -> DeviceRule {
        let access = Access::from_letters(letters);
        DeviceRule {
            kind,
            major: Some(major),
            minor: Some(minor),
            access,
        }
    }

    #[test]
    fn version_1_writes_lines() {
        assert_eq!(rule(DeviceKind::Char, 1, 3, "rwm").line(), "c 1:3 rwm");
        assert_eq!(rule(DeviceKind::Block, 8, 0, "r").line(), "b 8:0 r");
        let nodes = DeviceRule {
            kind: DeviceKind::Char,
            major: None,
            minor: None,
            access: Access::MKNOD,
        };
        assert_eq!(nodes.line(), "c *:* m");
    }

    #[test]
    fn the_kernel_takes_the_program() {
        let rules = [
            rule(DeviceKind::Char, 1, 3, "rwm"),
            rule(DeviceKind::Block, 8, 0, "r"),
        ];
        match load(&program(&rules)) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                eprintln!("skipped: loading BPF needs CAP_BPF");
            }
            Err(error) => panic!("{error}"),
        }
    }
}
