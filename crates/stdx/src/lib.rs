//! The doors to clock, randomness and back-off that the simulator replaces.
