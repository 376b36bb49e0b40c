//! The pipeline every object passes, and the watch cache that serves it.
