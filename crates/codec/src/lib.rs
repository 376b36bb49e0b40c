//! Bytes to object and back: JSON, YAML and Table, driven by schema data, never by kind.
