//! What the tests of adapters share that call a server: a client that may call this machine.

use std::sync::Arc;

use eywa_guard::{GuardedClient, Policy};

/// A client that may call stand-ins on the loopback.
pub(crate) fn client() -> GuardedClient {
    // Another test of the process may have installed it.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    GuardedClient::new(Arc::new(Policy {
        loopback: true,
        ..Policy::default()
    }))
}
