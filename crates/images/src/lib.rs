//! Image content store, unpacking and snapshots.
