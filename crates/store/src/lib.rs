//! A revisioned key-value log: get, range, txn, watch, compact. Bytes only.
