//! What clients see: a stock kubectl against the API server.

mod bindings;
mod cluster;
mod conformance;
mod custom;
mod deletes;
mod evictions;
mod failures;
mod hostile;
mod kinds;
mod kubectl;
mod lists;
mod openapi;
mod protobuf;
mod python;
mod quotas;
mod rubbish;
mod services;
mod strategies;
mod watches;
