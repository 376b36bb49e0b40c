//! What must be known of the objects by whose grace a token lives.

use async_trait::async_trait;
use meta::object::Object as _;
use meta::{Value, time};

/// An object that exists.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Existing {
    /// Its uid.
    pub uid: String,
    /// Since when it is on its way out, in seconds since 1970.
    pub deleted: Option<i64>,
}

impl Existing {
    /// Of an object.
    pub fn of(object: &Value) -> Self {
        let deleted = time::parse(object.meta_str("deletionTimestamp"));
        Existing {
            uid: object.uid().into(),
            deleted: deleted.map(|at| at.as_second()),
        }
    }
}

/// Finds service accounts, pods, nodes and secrets as they are now.
#[async_trait]
pub trait Lookup: Send + Sync {
    /// An object of the core group, by resource (`serviceaccounts`, `pods`,
    /// `nodes`, `secrets`), namespace (empty for nodes) and name; `Ok(None)`
    /// when there is none. A failure says why.
    async fn find(
        &self,
        resource: &str,
        namespace: &str,
        name: &str,
    ) -> Result<Option<Existing>, String>;
}
