//! The tiphys binary: roles, configuration and wiring; no logic.

fn main() {}
