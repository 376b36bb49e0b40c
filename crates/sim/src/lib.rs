//! The cluster under a seed: faults, workload and checkers.
