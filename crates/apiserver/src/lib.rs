//! HTTP to registry: one readable stack of layers, a file per verb.
