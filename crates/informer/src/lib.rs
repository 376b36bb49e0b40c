//! Reflector, shared cache, keyed queue and controller runtime.
