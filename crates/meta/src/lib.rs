//! Vocabulary: the values every other crate speaks in. No I/O, no async, no HTTP.
//!
//! [`Value`] is the tree that requests become; [`schema`] is the data that
//! drives everything done to a tree; [`field`] walks a tree and remembers
//! where it is, so that an error always names its field; [`Status`] is the one
//! shape in which failure leaves the system.

pub mod field;
pub mod go;
pub mod gvk;
pub mod jsonpath;
pub mod labels;
pub mod names;
pub mod object;
pub mod quantity;
pub mod schema;
pub mod selector;
pub mod status;
pub mod time;
pub mod value;

pub use field::{ErrorKind, Errors, Field, FieldError, Path};
pub use gvk::{GroupResource, GroupVersion, GroupVersionKind, GroupVersionResource};
pub use quantity::Quantity;
pub use selector::{FieldSelector, LabelSelector};
pub use status::{Cause, Reason, Status};
pub use value::{Map, Number, Str, Value};
