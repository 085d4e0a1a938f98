//! What the stand-ins share: a port on this machine that pods reach.

use std::{
    env,
    net::{IpAddr, Ipv4Addr, SocketAddr},
};

use axum::Router;
use tokio::{net::TcpListener, task::JoinHandle};

/// This machine, as the pods of the test cluster see it.
const HOST: Ipv4Addr = Ipv4Addr::new(10, 87, 0, 1);

/// The address by which pods reach this machine: `EYWA_TEST_HOST`, or that of the test cluster.
///
/// # Panics
/// When `EYWA_TEST_HOST` is no IP address.
pub fn host() -> IpAddr {
    match env::var("EYWA_TEST_HOST") {
        Ok(host) => host
            .parse()
            .unwrap_or_else(|_| panic!("EYWA_TEST_HOST={host} is no IP address")),
        Err(_) => HOST.into(),
    }
}

/// A server on a free port of all interfaces. Stops when dropped.
pub struct Server {
    address: SocketAddr,
    serving: JoinHandle<()>,
}

impl Server {
    /// Serves these routes.
    ///
    /// # Panics
    /// When there is no free port.
    pub async fn start(routes: Router) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).await;
        let listener = listener.unwrap_or_else(|error| panic!("no port to listen on: {error}"));
        let address = listener
            .local_addr()
            .unwrap_or_else(|error| panic!("a listener without an address: {error}"));
        let routes = routes.into_make_service_with_connect_info::<SocketAddr>();
        let serving = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, routes).await {
                eprintln!("a stand-in stopped: {error}");
            }
        });
        Self { address, serving }
    }

    /// Its URL, with no slash at the end, for pods.
    pub fn url(&self) -> String {
        format!("http://{}:{}", host(), self.address.port())
    }

    /// Its URL, with no slash at the end, for this machine.
    #[cfg(test)]
    pub(crate) fn local_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.address.port())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.serving.abort();
    }
}
