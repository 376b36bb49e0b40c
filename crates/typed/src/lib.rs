//! Typed views of objects: the one crate where k8s-openapi types are decoded and encoded.
