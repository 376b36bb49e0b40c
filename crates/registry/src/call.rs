//! What every operation is told of the request it serves.

use auth::User;
use std::sync::{Mutex, PoisonError};

/// A request on its way through the registry.
#[derive(Debug)]
pub struct Call<'a> {
    /// Who asks.
    pub user: &'a User,
    /// Do everything but keep it.
    pub dry_run: bool,
    /// Who is said to own the fields that are written.
    pub manager: String,
    warnings: Mutex<Vec<String>>,
}

impl<'a> Call<'a> {
    /// A request of somebody.
    pub fn new(user: &'a User) -> Self {
        Call {
            user,
            dry_run: false,
            manager: String::new(),
            warnings: Mutex::default(),
        }
    }

    /// Tells the client something.
    pub fn warn(&self, warning: impl Into<String>) {
        let warning = warning.into();
        let mut warnings = self.warnings.lock().unwrap_or_else(PoisonError::into_inner);
        if !warnings.contains(&warning) {
            warnings.push(warning);
        }
    }

    /// What the client is to be told, once.
    pub fn take_warnings(&self) -> Vec<String> {
        std::mem::take(&mut *self.warnings.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
