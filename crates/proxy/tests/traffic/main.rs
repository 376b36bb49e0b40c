//! Real packets through the real kernel: a node with three pods, and a client
//! outside, each in a network namespace of its own.

mod cases;
mod scale;
mod table;
mod world;
