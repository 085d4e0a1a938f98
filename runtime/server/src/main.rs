//! `eywa-runtime`: serves one Spirit in a pod.

use std::{
    net::SocketAddr, path::PathBuf, process::ExitCode, thread::available_parallelism,
    time::Duration,
};

use clap::Parser;
use eywa_crds::runtime_config::RuntimeConfig;
use eywa_runtime::{
    admin, http,
    metrics::Metrics,
    readiness::Stage,
    roster::Roster,
    secrets::MountedSecrets,
    serve::serve,
    wiring::{Shared, Stores, Wired, wire},
};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};
use tokio_util::sync::CancellationToken;
use tracing::{error, info};
use tracing_subscriber::EnvFilter;

// A Pulse makes and drops some hundreds of small values; glibc's malloc took a quarter of its CPU.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The most threads that work: more only take memory, where Redis and the model are what is waited for.
const MOST_THREADS: usize = 4;

/// What is logged unless `RUST_LOG` says otherwise. rmcp logs what servers say, which may hold what a person wrote.
const LOGGED: &str = "info,rmcp=off";

/// Serves one Spirit, and those that it routes to.
#[derive(Parser)]
#[command(version)]
struct Options {
    /// The compiled configuration, JSON.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// The folder that Secrets are mounted in, as DIR/<Secret>/<key>.
    #[arg(long, value_name = "DIR")]
    secrets: PathBuf,
    /// Where webhooks and Pulses are served.
    #[arg(long, value_name = "ADDRESS", default_value = "0.0.0.0:8080")]
    http: SocketAddr,
    /// Where probes and metrics are served.
    #[arg(long, value_name = "ADDRESS", default_value = "0.0.0.0:9090")]
    admin: SocketAddr,
    /// How long Pulses in work may take to finish after SIGTERM, such as 25s. Shorter than the pod's own grace period.
    #[arg(long, value_name = "TIME", default_value = "25s")]
    grace: eywa_crds::Duration,
    /// The pod's name, for the log.
    #[arg(long, value_name = "NAME", env = "POD_NAME", default_value = "")]
    pod_name: String,
}

fn main() -> ExitCode {
    let options = Options::parse();
    start_log();
    // Fails only where one is installed already, and nobody was before us.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let threads = available_parallelism()
        .map_or(1, usize::from)
        .min(MOST_THREADS);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(threads)
        .enable_all()
        .build();
    let ended = match runtime {
        Ok(runtime) => runtime.block_on(run(options)),
        Err(error) => Err(error.into()),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            error!(%error, "the runtime cannot run");
            ExitCode::FAILURE
        }
    }
}

/// JSON lines on standard output, at `RUST_LOG` or else `info`. At that level no line holds what a person wrote; rmcp's
/// would, so it is off.
fn start_log() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(LOGGED));
    tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_span_list(false)
        .with_env_filter(filter)
        .init();
}

async fn run(options: Options) -> Result<(), Box<dyn std::error::Error>> {
    let (stage, roster, metrics) = (Stage::default(), Roster::default(), Metrics::new()?);
    let stop = CancellationToken::new();
    let admin = TcpListener::bind(options.admin)
        .await
        .map_err(|error| cannot_listen(options.admin, &error))?;
    let admin_routes = admin::routes(stage.clone(), roster.clone(), metrics.clone());
    let admin = tokio::spawn(serve(admin, admin_routes, admin::CONNECTIONS, stop.clone()));

    let config = read_config(&options.config)?;
    let secrets = MountedSecrets(options.secrets);
    let stores = Stores::redis(&config, &secrets)?;
    let shared = Shared::new(config.network.clone(), metrics);
    let wired = wire(&config, &secrets, stores, &shared)?;
    wired.serving.tend();
    roster.enlist(wired.serving.clone());
    let public = TcpListener::bind(options.http)
        .await
        .map_err(|error| cannot_listen(options.http, &error))?;
    let public = tokio::spawn(serve(
        public,
        http::routes(roster.clone()),
        http::CONNECTIONS,
        stop.clone(),
    ));
    watch_vigils(wired, &config.namespace);
    stage.serving();
    info!(
        spirit = config.front,
        pod = options.pod_name,
        config = config.config_hash(),
        http = %options.http,
        admin = %options.admin,
        "serving",
    );

    until_asked_to_stop().await?;
    stage.draining();
    let grace: Duration = options.grace.as_std();
    let in_work: usize = roster
        .all()
        .iter()
        .map(|serving| serving.weave().in_flight())
        .sum();
    info!(
        in_work,
        ?grace,
        "stopping: no new Pulses are taken, and those in work are finished"
    );
    roster.retire(grace).await;
    let left: usize = roster
        .all()
        .iter()
        .map(|serving| serving.weave().in_flight())
        .sum();
    stop.cancel();
    let _ = tokio::join!(public, admin);
    info!(left_in_inbox = left, "stopped");
    Ok(())
}

fn read_config(path: &std::path::Path) -> Result<RuntimeConfig, Box<dyn std::error::Error>> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| format!("{} cannot be read: {error}", path.display()))?;
    Ok(RuntimeConfig::from_json(&text)?)
}

fn cannot_listen(address: SocketAddr, error: &std::io::Error) -> String {
    format!("cannot listen on {address}: {error}")
}

async fn until_asked_to_stop() -> std::io::Result<()> {
    let (mut terminate, mut interrupt) = (
        signal(SignalKind::terminate())?,
        signal(SignalKind::interrupt())?,
    );
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}

/// Follows the Spirit's Vigil objects where there is an API server to follow them at: in a pod, or where `KUBECONFIG` says.
#[cfg(feature = "vigil-kubernetes")]
fn watch_vigils(wired: Wired, namespace: &str) {
    use std::sync::Arc;

    use eywa_runtime::vigils::kubernetes::ClusterVigils;

    let namespace = namespace.to_owned();
    tokio::spawn(async move {
        let config = match kube::Config::incluster() {
            Ok(config) => Ok(config),
            Err(_) if std::env::var_os("KUBECONFIG").is_some() => {
                kube::Config::from_kubeconfig(&Default::default())
                    .await
                    .map_err(|error| error.to_string())
            }
            Err(error) => Err(error.to_string()),
        };
        match config
            .and_then(|config| kube::Client::try_from(config).map_err(|error| error.to_string()))
        {
            Ok(client) => {
                let objects = Arc::new(ClusterVigils::new(client, &namespace));
                let serving = wired.serving.clone();
                let changes = objects.follow(serving.name());
                serving.keep_vigils(wired.rota(objects), changes);
            }
            Err(reason) => info!(
                reason,
                "there is no Kubernetes API here: Vigil objects are not followed"
            ),
        }
    });
}

#[cfg(not(feature = "vigil-kubernetes"))]
fn watch_vigils(_: Wired, _: &str) {
    info!("built without vigil-kubernetes: Vigil objects are not followed");
}
