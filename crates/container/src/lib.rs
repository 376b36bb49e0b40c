//! Sandboxes and containers behind the trait Runtime, and the embedded runtime.
