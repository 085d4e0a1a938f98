//! The runtime of Eywa: HTTP surfaces, wiring, metrics.
