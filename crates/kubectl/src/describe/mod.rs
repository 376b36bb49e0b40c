//! Describers: what `describe` says of an object and of those that belong to it.
