//! The monitor alone, for tests. The real one is a role of the main binary.

use std::process::ExitCode;

fn main() -> ExitCode {
    match container::monitor::intercept() {
        Some(code) => code,
        None => {
            eprintln!("usage: container-monitor monitor DIRECTORY");
            ExitCode::from(2)
        }
    }
}
