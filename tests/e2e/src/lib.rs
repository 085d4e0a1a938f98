//! Eywa's end to end tests on a real cluster.
