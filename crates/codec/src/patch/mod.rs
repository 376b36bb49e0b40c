//! The three patches that say what to change: JSON patch (RFC 6902), JSON
//! merge patch (RFC 7386) and strategic merge patch.

pub mod json;
pub mod merge;
pub mod strategic;

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
