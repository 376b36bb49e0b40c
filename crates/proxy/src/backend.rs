//! The door between the ruleset that should be and the kernel's.

use crate::{
    plan::UdpFrontend,
    state::{Changes, Ruleset},
};

/// Something that holds a ruleset: the kernel, or a double in tests.
pub trait Backend: Send + 'static {
    /// What is there; none if nothing is, or not as we make it.
    fn read(&mut self) -> Result<Option<Ruleset>, Error>;

    /// Puts a whole ruleset in place of whatever is there, in one step.
    fn replace(&mut self, ruleset: &Ruleset) -> Result<(), Error>;

    /// Changes the ruleset that is there, in one step.
    fn apply(&mut self, changes: &Changes) -> Result<(), Error>;

    /// Gives back what was kept though nothing of this ruleset, which is there,
    /// needs it. A backend that keeps nothing has nothing to do.
    fn tidy(&mut self, _ruleset: &Ruleset) -> Result<(), Error> {
        Ok(())
    }

    /// A number that changes when anybody changes any rules.
    fn generation(&mut self) -> Result<u32, Error>;

    /// Forgets the flows to these frontends that go to endpoints which no
    /// longer answer. Returns how many there were.
    fn forget(&mut self, frontends: &[UdpFrontend]) -> Result<usize, Error>;
}

/// An operation on the ruleset that failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A netlink socket could not be opened in the node's network namespace.
    #[error("enter the node's network namespace")]
    Netns(#[from] linux::netns::Error),
    /// The packet filter refused.
    #[error("change the packet filter's table {table}")]
    Filter {
        /// The table.
        table: String,
        /// The cause.
        #[source]
        source: linux::nft::Error,
    },
    /// The connection table refused.
    #[error("forget stale connections")]
    Conntrack(#[source] linux::netlink::Error),
    /// A double refuses on purpose.
    #[error("refused: {0}")]
    Refused(&'static str),
    /// The thread that talked to the kernel panicked.
    #[error("the thread that changes the packet filter panicked")]
    Panicked,
}
