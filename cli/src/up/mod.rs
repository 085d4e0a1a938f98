//! `eywa up`: the Spirits of a folder, on this machine.
//!
//! The same YAML, the same `compile`, the same Weave as in a cluster, in one process: state is kept in files, Bonds in
//! memory, Conduits' servers run as child processes. An edit takes effect at once; a wrong one is told, and what ran before
//! goes on.

mod desk;
mod environment;
mod household;
mod lore;
mod rites;
mod servers;
mod stores;
mod vigils;
mod watching;

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use clap::Args;
use eywa_runtime::{admin, http, metrics::Metrics, readiness::Stage, roster::Roster, serve::serve};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

use self::household::Household;
pub(crate) use self::stores::embedded_lore;
use crate::load::Allowances;

/// How long what is in work may take to finish when it is stopped.
const GRACE: Duration = Duration::from_secs(25);

/// Runs the Spirits of a folder.
#[derive(Args)]
pub(crate) struct Up {
    /// The folder with the YAML of Spirits, Conduits, Vigils, Secrets and ConfigMaps.
    dir: PathBuf,
    /// Where webhooks and Pulses are served.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    http: SocketAddr,
    /// Where the desk is served, for the people who take conversations over; on the loopback alone.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8081")]
    desk: SocketAddr,
    /// Where probes and metrics are served.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9090")]
    admin: SocketAddr,
    /// The folder that conversations are kept in; by default one of yours, named after DIR.
    #[arg(long, value_name = "FOLDER")]
    data: Option<PathBuf>,
    #[command(flatten)]
    allow: Allowances,
}

impl Up {
    pub(crate) fn run(self) -> Result<()> {
        let filter =
            EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn,rmcp=off"));
        tracing_subscriber::fmt()
            .with_env_filter(filter)
            .with_writer(std::io::stderr)
            .without_time()
            .init();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()?;
        runtime.block_on(self.serve())
    }

    async fn serve(self) -> Result<()> {
        let dir = self
            .dir
            .canonicalize()
            .with_context(|| format!("there is no folder {}", self.dir.display()))?;
        let data = self.data.clone().unwrap_or_else(|| default_data(&dir));
        let public = listen(self.http, "--http").await?;
        let private = listen(self.admin, "--admin").await?;
        let desk = desk::Opening::at(self.desk).await?;
        let (url, admin_url) = (
            format!("http://{}", public.local_addr()?),
            format!("http://{}", private.local_addr()?),
        );

        let (stage, roster, metrics) = (Stage::default(), Roster::default(), Metrics::new()?);
        let stop = CancellationToken::new();
        let mut household = Household::new(
            dir.clone(),
            &data,
            url.clone(),
            desk.reach(),
            roster.clone(),
            metrics.clone(),
            self.allow.on_this_machine(),
        )?;
        let mut edits = watching::watch(&dir)?;
        household.load().await?;
        if roster.all().is_empty() {
            bail!("there is no Spirit to run in {}", self.dir.display());
        }
        let public = tokio::spawn(serve(
            public,
            http::routes(roster.clone()),
            http::CONNECTIONS,
            stop.clone(),
        ));
        let admin_routes = admin::routes(stage.clone(), roster.clone(), metrics);
        let private = tokio::spawn(serve(
            private,
            admin_routes,
            admin::CONNECTIONS,
            stop.clone(),
        ));
        stage.serving();
        println!();
        let desk = desk.serve(roster.clone(), household::NAMESPACE, stop.clone());
        println!("metrics   {admin_url}/metrics");
        println!("state     {}", data.display());
        println!(
            "Edits to {} take effect at once. Ctrl-C stops.\n",
            self.dir.display()
        );

        let (mut terminate, mut interrupt) = (
            signal(SignalKind::terminate())?,
            signal(SignalKind::interrupt())?,
        );
        loop {
            tokio::select! {
                Some(()) = edits.recv() => household.reload().await,
                _ = terminate.recv() => break,
                _ = interrupt.recv() => break,
            }
        }
        println!(
            "stopping: what is in work is finished, for {} s at most; Ctrl-C again does not wait",
            GRACE.as_secs()
        );
        stage.draining();
        tokio::select! {
            () = roster.retire(GRACE) => {}
            _ = interrupt.recv() => {}
        }
        household.stop().await;
        stop.cancel();
        let _ = tokio::join!(public, desk, private);
        println!("stopped");
        Ok(())
    }
}

async fn listen(address: SocketAddr, flag: &str) -> Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| {
        format!(
            "cannot listen on {address}; is another eywa up running? Choose another with {flag}"
        )
    })
}

/// A folder of the person's own for the state of this folder's Spirits.
pub(crate) fn default_data(dir: &Path) -> PathBuf {
    let home = |name: &str| std::env::var_os(name).map(PathBuf::from);
    let state =
        home("XDG_STATE_HOME").or_else(|| home("HOME").map(|home| home.join(".local/state")));
    let name: String = dir
        .to_string_lossy()
        .chars()
        .map(|c| if c.is_alphanumeric() { c } else { '-' })
        .collect();
    state
        .unwrap_or_else(std::env::temp_dir)
        .join("eywa")
        .join(name.trim_matches('-'))
}
