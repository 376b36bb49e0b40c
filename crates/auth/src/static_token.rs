//! Users by a token that somebody wrote into the server's configuration.

use crate::{Authenticator, Credentials, Rejected, User};
use async_trait::async_trait;
use aws_lc_rs::constant_time::verify_slices_are_equal;
use std::fmt;

/// Knows users by fixed tokens.
#[derive(Default)]
pub struct StaticTokens(Vec<(String, User)>);

impl StaticTokens {
    /// These tokens, each with its user. An empty token is nobody's.
    pub fn new(tokens: Vec<(String, User)>) -> Self {
        StaticTokens(tokens)
    }
}

impl fmt::Debug for StaticTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let users = self.0.iter().map(|(_, user)| user);
        f.debug_list().entries(users).finish()
    }
}

#[async_trait]
impl Authenticator for StaticTokens {
    async fn authenticate(&self, credentials: &Credentials<'_>) -> Result<Option<User>, Rejected> {
        // Such a token is meant for the API server and nobody else.
        let (Some(bearer), []) = (credentials.bearer, credentials.audiences) else {
            return Ok(None);
        };
        let same = |token: &str| {
            !token.is_empty()
                && verify_slices_are_equal(token.as_bytes(), bearer.as_bytes()).is_ok()
        };
        let found = self.0.iter().find(|(token, _)| same(token));
        Ok(found.map(|(_, user)| user.clone()))
    }
}
