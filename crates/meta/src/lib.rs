//! Vocabulary: the values every other crate speaks in. No I/O, no async, no HTTP.
