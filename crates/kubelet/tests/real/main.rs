//! A kubelet with real containers, images and mounts, before a fake API server.
//!
//! Needs root and busybox-static; says so and passes where they are missing.

#![expect(clippy::unwrap_used, reason = "a test fails where it stands")]

mod node;
mod pods;
mod volumes;
