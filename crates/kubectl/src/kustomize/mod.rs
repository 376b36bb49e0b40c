//! Builds the objects of a kustomization folder.
