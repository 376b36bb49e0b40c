//! The project's own tools: up, test, bench, codegen.

fn main() {}
