//! The controllers on the real API server: both in one thread, in memory, in simulated time.

mod cluster;
mod controllers;
mod manifests;
mod sockets;
