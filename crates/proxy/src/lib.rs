//! The service proxy: services and slices to a ruleset, applied in one transaction.
