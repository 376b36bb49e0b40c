//! The pod network: links, addresses and routes of the node and its pods.
