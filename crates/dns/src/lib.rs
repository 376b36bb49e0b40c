//! Cluster DNS answered from the shared cache.
