//! nftables over netlink, without the `nft` program.
//!
//! A [`Batch`] is one transaction: all of it happens or none, and packets see
//! the state before or after, never between. Its messages make and remove
//! tables, chains, sets, maps, rules and elements; an [`Expr`] is one
//! instruction of a rule. [`Nft`] sends batches and lists what is there.
//!
//! The encoding follows the kernel's `linux/netfilter/nf_tables.h`. Values in
//! registers and set keys lie as the kernel's registers do: each field of a
//! concatenation starts on a word of four bytes.

mod batch;
mod element;
mod expr;
mod list;
mod socket;
mod types;

pub use batch::Batch;
pub use element::{Element, ElementValue, OwnedElement, OwnedValue};
pub use expr::{
    CmpOp, CtKey, Direction, DynsetOp, Expr, FibResult, MetaKey, NatKind, PayloadBase, Reg, Reject,
};
pub use list::{ChainInfo, RuleInfo, SetInfo, TableInfo};
pub use socket::{Error, Nft};
pub use types::{ChainKind, DataType, Family, Hook, Name, SetSpec, Verdict};

#[cfg(test)]
mod tests;
