//! A kubelet with real containers, images and mounts, before a fake API server.
//!
//! Needs root and busybox-static; says so and passes where they are missing.

mod node;
mod pods;
mod volumes;
