//! The pipeline every object passes, and the watch cache that serves it:
//! decode > default > mutate > prepare > validate > admit > txn > encode.
//!
//! The object moves one way, and nobody below calls up. Reads come from the
//! watch caches, or from the store where history is asked for; what is written
//! comes back through the store's watch, which is the only way into a cache.

mod alike;
pub mod cache;
mod call;
mod create;
mod custom;
pub mod decode;
mod decoded;
mod delete;
mod failure;
mod feed;
mod fields;
pub mod hooks;
mod keys;
mod last_applied;
mod quota;
mod read;
mod registry;
mod rewrite;
mod service;
mod stored;
mod texts;
mod token;
mod topics;
mod update;
mod watch;
mod written;

pub use alike::alike;
pub use call::Call;
pub use decode::{Format, Validation};
pub use delete::{DeleteOptions, Deleted, Propagation};
pub use fields::applied;
pub use read::{Freshness, ListQuery, Listed};
pub use registry::{Registry, Resource};
pub use rewrite::Wanted;
pub use service::ServiceAllocator;
pub use stored::{Layout, Selection, Stored};
pub use topics::Topic;
pub use update::{Aim, Change};
pub use watch::{Notice, NoticeKind, Start, WatchQuery};
pub use written::Written;
