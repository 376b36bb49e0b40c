//! What each kind is: one folder a kind, the trait Kind and the table KINDS.

#[rustfmt::skip]
pub mod generated;
pub mod schema;
