//! Profiles are compiled and run by a small interpreter of classic BPF.

use super::*;
use crate::caps::CapSet;

const X86_64: u32 = 0xc000_003e;
const I386: u32 = 0x4000_0003;
const ALLOW: u32 = 0x7fff_0000;
const EPERM: u32 = 0x0005_0001;
const ENOSYS: u32 = 0x0005_0000 + 38;

fn run(program: &Program, arch: u32, nr: u32, args: [u64; 6]) -> u32 {
    let code: Vec<_> = program.instructions().collect();
    let (mut at, mut value) = (0, 0_u32);
    loop {
        let (op, jt, jf, k) = code[at];
        at += 1;
        let skip = |yes: bool| usize::from(if yes { jt } else { jf });
        match op {
            0x20 => {
                value = match k {
                    0 => nr,
                    4 => arch,
                    offset => {
                        let arg = args[(offset as usize - 16) / 8];
                        (if offset % 8 == 0 { arg } else { arg >> 32 }) as u32
                    }
                }
            }
            0x54 => value &= k,
            0x05 => at += k as usize,
            0x15 => at += skip(value == k),
            0x25 => at += skip(value > k),
            0x35 => at += skip(value >= k),
            0x06 => return k,
            other => panic!("instruction {other:#x}"),
        }
    }
}

fn nr(name: &str, column: usize) -> u32 {
    let found = syscalls::SYSCALLS
        .iter()
        .find(|(known, _)| *known == name)
        .unwrap();
    u32::try_from(found.1[column]).unwrap()
}

fn native(program: &Program, name: &str, arg: u64) -> u32 {
    run(program, X86_64, nr(name, 0), [arg, 0, 0, 0, 0, 0])
}

#[test]
fn the_table_is_sorted() {
    assert!(syscalls::SYSCALLS.is_sorted_by(|one, two| one.0 < two.0));
}

#[test]
#[cfg(target_arch = "x86_64")]
fn the_default_allows_the_usual_and_refuses_the_rest() {
    let program = compile(&default_profile(CapSet::container_default())).unwrap();
    for name in [
        "read", "write", "execve", "openat", "socket", "chroot", "futex", "rseq",
    ] {
        assert_eq!(native(&program, name, 1), ALLOW, "{name}");
    }
    for name in [
        "mount",
        "reboot",
        "bpf",
        "setns",
        "keyctl",
        "io_uring_setup",
        "kexec_load",
    ] {
        assert_eq!(native(&program, name, 1), EPERM, "{name}");
    }
    assert_eq!(native(&program, "socket", 40), EPERM);
    assert_eq!(native(&program, "clone", 0x11), ALLOW);
    assert_eq!(native(&program, "clone", 0x1000_0000), EPERM);
    assert_eq!(native(&program, "clone3", 0), ENOSYS);
    assert_eq!(native(&program, "personality", 8), ALLOW);
    assert_eq!(native(&program, "personality", 0x4_0000), EPERM);
    assert_eq!(run(&program, X86_64, 2000, [0; 6]), ENOSYS);
    assert_eq!(run(&program, X86_64, 0x4000_0001, [0; 6]), ENOSYS);
    assert_eq!(run(&program, I386, nr("read", 1), [0; 6]), ALLOW);
    assert_eq!(run(&program, I386, nr("mount", 1), [0; 6]), EPERM);
    assert_eq!(run(&program, 0x1234, 0, [0; 6]), 0x8000_0000);
}

#[test]
#[cfg(target_arch = "x86_64")]
fn capabilities_open_doors() {
    let program = compile(&default_profile(CapSet::all())).unwrap();
    for name in ["mount", "reboot", "bpf", "setns", "clone3", "clone"] {
        assert_eq!(native(&program, name, u64::MAX), ALLOW, "{name}");
    }
}

#[test]
#[cfg(target_arch = "x86_64")]
fn arguments_compare_as_64_bits() {
    let check = |operator, value: u64, yes: &[u64], no: &[u64]| {
        let argument = Argument {
            index: 0,
            operator,
            value,
            value_two: 0x1_0000_0002,
        };
        let profile = Profile {
            default: Action::Errno(1),
            compat: false,
            rules: vec![Rule {
                names: vec!["getpid".to_owned()],
                action: Action::Allow,
                arguments: vec![argument],
            }],
        };
        let program = compile(&profile).unwrap();
        for arg in yes {
            assert_eq!(
                native(&program, "getpid", *arg),
                ALLOW,
                "{operator:?} {arg:#x}"
            );
        }
        for arg in no {
            assert_eq!(
                native(&program, "getpid", *arg),
                EPERM,
                "{operator:?} {arg:#x}"
            );
        }
    };
    let mark = 0x2_0000_0005;
    let (below, above) = (
        [0, 5, 0x2_0000_0004, 0x1_ffff_ffff],
        [0x2_0000_0006, 0x3_0000_0000],
    );
    check(
        Operator::Eq,
        mark,
        &[mark],
        &[5, 0x2_0000_0000, 0x2_0000_0006],
    );
    check(Operator::Ne, mark, &[5, 0x2_0000_0006], &[mark]);
    check(Operator::Lt, mark, &below, &[mark, above[0], above[1]]);
    check(Operator::Le, mark, &[below[0], below[3], mark], &above);
    check(Operator::Gt, mark, &above, &[mark, below[2], below[3]]);
    check(Operator::Ge, mark, &[mark, above[0], above[1]], &below);
    check(
        Operator::MaskedEq,
        0x1_0000_000f,
        &[0x1_0000_0002, 0x3_0000_0012],
        &[2, 0x1_0000_0003],
    );
}

#[test]
fn profile_files_are_read() {
    let json = br#"{"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64"],
        "syscalls": [
          {"names": ["mkdir", "no_such_call"], "action": "SCMP_ACT_ERRNO", "errnoRet": 13, "args": null},
          {"names": ["mount"], "action": "SCMP_ACT_KILL", "excludes": {"caps": ["CAP_SYS_ADMIN"]}},
          {"names": ["kill"], "action": "SCMP_ACT_LOG", "includes": {"minKernel": "99.0"}}]}"#;
    let profile = parse(json, CapSet::all()).unwrap();
    assert_eq!(profile.rules.len(), 1);
    assert_eq!(profile.rules[0].action, Action::Errno(13));
    assert!(!profile.compat);
    assert_eq!(parse(json, CapSet::EMPTY).unwrap().rules.len(), 2);
    let notify = br#"{"defaultAction": "SCMP_ACT_NOTIFY"}"#;
    let error = parse(notify, CapSet::EMPTY).unwrap_err();
    assert_eq!(
        error.to_string(),
        r#"seccomp profile: action "SCMP_ACT_NOTIFY" is not supported"#
    );
    assert!(matches!(parse(b"{", CapSet::EMPTY), Err(Error::Parse(_))));
}
