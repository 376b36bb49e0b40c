//! What clients see: a stock kubectl against the API server.

mod cluster;
mod kubectl;
mod openapi;
mod protobuf;
