//! The node agent: pod workers, volumes, probes, status, and its HTTPS door.
