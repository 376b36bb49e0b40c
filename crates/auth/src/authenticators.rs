//! Several authenticators as one: the first that knows the user decides, and
//! what others refused counts only when nobody does. Follows apiserver's
//! pkg/authentication/request/union and pkg/authentication/group.

use crate::user::{AUTHENTICATED, UNAUTHENTICATED};
use crate::{Authenticator, Credentials, Rejected, User};
use async_trait::async_trait;
use std::sync::Arc;

/// Authenticators that are asked in turn.
#[derive(Clone, Default)]
pub struct Authenticators(Vec<Arc<dyn Authenticator>>);

impl Authenticators {
    /// These, in this order.
    pub fn new(authenticators: Vec<Arc<dyn Authenticator>>) -> Self {
        Authenticators(authenticators)
    }
}

#[async_trait]
impl Authenticator for Authenticators {
    async fn authenticate(&self, credentials: &Credentials<'_>) -> Result<Option<User>, Rejected> {
        let mut refusals = Vec::new();
        for authenticator in &self.0 {
            match authenticator.authenticate(credentials).await {
                Ok(Some(user)) => return Ok(Some(authenticated(user))),
                Ok(None) => {}
                Err(Rejected(why)) => refusals.push(why),
            }
        }
        match refusals.as_slice() {
            [] => Ok(None),
            [why] => Err(Rejected(why.clone())),
            several => Err(Rejected(format!("[{}]", several.join(", ")))),
        }
    }
}

fn authenticated(mut user: User) -> User {
    if !user.is_in(AUTHENTICATED) && !user.is_in(UNAUTHENTICATED) {
        user.groups.push(AUTHENTICATED.into());
    }
    user
}
