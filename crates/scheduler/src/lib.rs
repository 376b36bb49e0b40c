//! Queue, snapshot and scheduling cycle; plugins a file each and one table.
