//! An in-memory cluster for tests.
//!
//! [`FakeApi`] stands in for the API server where a test wants one loop and nothing else: it keeps
//! objects of any kind as JSON, with resource versions, watches, conflicts, finalizers and
//! graceful deletion, and it can be told to refuse. It neither defaults nor validates; tests of
//! whole behaviour run against the real server.

pub mod fake;
pub mod faulty;

pub use fake::FakeApi;
