//! What controllers that manage other objects have in common: which objects are theirs, what they
//! have asked for and not seen yet, and careful first steps.

mod batch;
mod claim;
mod expectations;

pub(crate) use batch::slow_start;
pub(crate) use claim::claim;
pub(crate) use expectations::Expectations;
