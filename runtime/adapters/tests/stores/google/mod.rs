//! The adapters of Google Cloud, on stand-ins for its services.

mod bucket;
mod cloud_tasks;
mod identity;
mod storage;
mod tasks;

use std::sync::Arc;

use eywa_guard::{GuardedClient, Policy};

/// A client that may call stand-ins on the loopback.
fn client() -> GuardedClient {
    // Another test of the process may have installed it.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    GuardedClient::new(Arc::new(Policy {
        loopback: true,
        ..Policy::default()
    }))
}
