//! Real packets through the real kernel: a node with three pods, and a client
//! outside, each in a network namespace of its own.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod cases;
mod looping;
mod scale;
mod six;
mod table;
mod world;
