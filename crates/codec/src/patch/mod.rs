//! The three patches that say what to change: JSON patch (RFC 6902), JSON
//! merge patch (RFC 7386) and strategic merge patch; and what `apply` makes of
//! three objects without one.

pub mod json;
pub mod merge;
mod shape;
pub mod strategic;
pub mod three_way;

/// A patch that cannot be applied.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The patch itself is malformed: upstream answers 400.
    #[error("{0}")]
    Malformed(String),
    /// The patch asks too much: upstream answers 413.
    #[error("{0}")]
    TooLarge(String),
    /// The patch does not fit the object: upstream answers 422.
    #[error("{0}")]
    DoesNotApply(String),
}
