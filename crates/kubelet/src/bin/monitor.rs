//! The container monitor alone, for this crate's tests. The real one is a role
//! of the main binary.

use std::process::ExitCode;

fn main() -> ExitCode {
    container::monitor::intercept().unwrap_or(ExitCode::from(2))
}
