//! Typed views of objects: the one crate where `k8s-openapi` types are decoded and encoded.
//!
//! `k8s-openapi` puts its serialisation code into whoever calls it, and each such caller pays
//! seconds of build time. Here every kind has a decoder and an encoder that are not generic, so
//! their code is generated once, in this crate, and everybody else only links to it.
//!
//! An object may come without `kind` and `apiVersion` (items of lists do); a wrong `kind` or
//! `apiVersion` is an error.

mod dynamic;
mod kinds;
pub mod lean;
mod object;
mod selector;
mod wire;

pub use dynamic::PartialObject;
pub use k8s_openapi;
pub use k8s_openapi::api;
pub use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
pub use k8s_openapi::apimachinery::pkg::apis::meta::v1 as meta;
pub use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
pub use object::{Labels, Typed, controller_of};
pub use selector::{
    SelectorError, selector_matches, selector_string, set_matches, validate_selector,
};
pub use wire::{DecodeError, Wire};

/// Seconds-precision time as objects carry it.
pub use meta::Time;
