//! What a kind does to other objects in the transaction that writes it: a
//! Service and the addresses it holds are one write.

use crate::registry::Registry;
use async_trait::async_trait;
use meta::{Status, Value};
use std::collections::HashMap;
use store::Txn;

/// Joins the writes of one kind.
#[async_trait]
pub trait Hook: Send + Sync {
    /// Before a new object is validated: may fill it in, and adds to the
    /// transaction what belongs to it.
    async fn create(
        &self,
        registry: &Registry,
        object: &mut Value,
        txn: &mut Txn,
    ) -> Result<(), Status>;
    /// Before a changed object is validated.
    async fn update(
        &self,
        registry: &Registry,
        object: &mut Value,
        old: &Value,
        txn: &mut Txn,
    ) -> Result<(), Status>;
    /// As the object goes.
    async fn delete(
        &self,
        registry: &Registry,
        object: &Value,
        txn: &mut Txn,
    ) -> Result<(), Status>;
}

/// The hooks by group and resource.
#[derive(Default)]
pub struct Hooks(HashMap<(&'static str, &'static str), Box<dyn Hook>>);

impl Hooks {
    /// Joins a hook to a kind.
    pub fn with(
        mut self,
        group: &'static str,
        resource: &'static str,
        hook: impl Hook + 'static,
    ) -> Self {
        self.0.insert((group, resource), Box::new(hook));
        self
    }

    pub(crate) fn of(&self, card: &api::Card) -> Option<&dyn Hook> {
        self.0.get(&(card.group, card.plural)).map(|hook| &**hook)
    }
}
