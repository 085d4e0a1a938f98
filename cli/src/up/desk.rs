//! The desk of `eywa up`: on the loopback alone, for the person at this machine.

use std::{net::SocketAddr, sync::Arc};

use anyhow::{Result, bail};
use eywa_runtime::{
    desk::{self, Desk, access::LocalAccess},
    roster::Roster,
    serve::serve,
};
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use super::listen;
use crate::discovery::DeskReach;

/// The desk's port, open and not yet served.
pub(super) struct Opening {
    listener: TcpListener,
    url: String,
    access: Arc<LocalAccess>,
}

impl Opening {
    /// Takes the port.
    pub(super) async fn at(address: SocketAddr) -> Result<Self> {
        if !address.ip().is_loopback() {
            bail!(
                "the desk of eywa up is for this machine alone: --desk takes an address of the loopback, such as 127.0.0.1:8081"
            );
        }
        let listener = listen(address, "--desk").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let link = url.clone();
        let access = LocalAccess::new(name(), move |code| {
            println!("desk      {link}/#login={code} (this link works once)");
        });
        Ok(Self {
            listener,
            url,
            access: Arc::new(access),
        })
    }

    /// How the commands of the same person reach it.
    pub(super) fn reach(&self) -> DeskReach {
        DeskReach {
            url: self.url.clone(),
            token: self.access.token(),
        }
    }

    /// Serves it, and prints the link.
    pub(super) fn serve(
        self,
        roster: Roster,
        namespace: &str,
        stop: CancellationToken,
    ) -> JoinHandle<()> {
        self.access.invite();
        let routes = desk::routes(Desk::new(roster, self.access, namespace));
        tokio::spawn(serve(self.listener, routes, desk::CONNECTIONS, stop))
    }
}

/// Who the person is to those they talk to: the name they are logged in by.
fn name() -> String {
    ["USER", "LOGNAME"]
        .iter()
        .filter_map(|name| std::env::var(name).ok())
        .find(|name| !name.is_empty())
        .unwrap_or_else(|| "you".to_owned())
}
