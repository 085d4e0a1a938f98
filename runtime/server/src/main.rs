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
    wiring::{Shared, Stores, wire},
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

/// Serves one Spirit, and those that it routes to. `eywa-runtime ingest` brings its documents in instead.
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
    /// Where the desk is served, if there is a Kubernetes API to ask who somebody is.
    #[cfg(all(feature = "desk", feature = "vigil-kubernetes"))]
    #[arg(long, value_name = "ADDRESS", default_value = "0.0.0.0:8081")]
    desk: SocketAddr,
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
    #[cfg(feature = "ingest")]
    if let Some(read) = eywa_lore::documents::answer() {
        return read;
    }
    #[cfg(feature = "ingest")]
    if std::env::args_os()
        .nth(1)
        .is_some_and(|word| word == "ingest")
    {
        return ingest();
    }
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

/// `eywa-runtime ingest`, whose one line on standard output is its report; the log goes to the other.
#[cfg(feature = "ingest")]
fn ingest() -> ExitCode {
    let options = eywa_runtime::ingest::IngestOptions::parse_from(std::env::args_os().skip(1));
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(LOGGED));
    tracing_subscriber::fmt()
        .json()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .init();
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    match runtime {
        Ok(runtime) => runtime.block_on(options.run()),
        Err(error) => {
            error!(%error, "the ingestion cannot run");
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
    let wired = wire(&config, &secrets, stores, &shared);
    #[cfg(feature = "vigil-kubernetes")]
    let client = cluster().await;
    #[cfg(feature = "vigil-kubernetes")]
    if let Some(client) = client.clone() {
        say_whether_wired(client, &config, wired.as_ref().err()).await;
    }
    let wired = wired?;
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
    #[cfg(feature = "vigil-kubernetes")]
    if let Some(client) = client {
        #[cfg(feature = "desk")]
        open_desk(
            roster.clone(),
            &config.namespace,
            options.desk,
            client.clone(),
            stop.clone(),
        )
        .await?;
        watch_rites(&wired, &config.namespace, client.clone());
        watch_vigils(wired, &config.namespace, client);
    }
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

/// The API server of the cluster that this runs in, or that `KUBECONFIG` says.
#[cfg(feature = "vigil-kubernetes")]
async fn cluster() -> Option<kube::Client> {
    let config = match kube::Config::incluster() {
        Ok(config) => Ok(config),
        Err(_) if std::env::var_os("KUBECONFIG").is_some() => {
            kube::Config::from_kubeconfig(&Default::default())
                .await
                .map_err(|error| error.to_string())
        }
        Err(error) => Err(error.to_string()),
    };
    let client =
        config.and_then(|config| kube::Client::try_from(config).map_err(|error| error.to_string()));
    client
        .inspect_err(|reason| {
            info!(
                reason,
                "there is no Kubernetes API here: Vigil objects are not followed, and there is no desk"
            );
        })
        .ok()
}

/// Says on the Spirit whether this image can run it. Only a pod that cannot waits until that is said.
#[cfg(feature = "vigil-kubernetes")]
async fn say_whether_wired(
    client: kube::Client,
    config: &RuntimeConfig,
    error: Option<&eywa_runtime::wiring::WireError>,
) {
    use eywa_runtime::adapters_ready::report;

    match error {
        Some(error) => report(client, &config.namespace, &config.front, Err(error)).await,
        None => {
            let (namespace, front) = (config.namespace.clone(), config.front.clone());
            tokio::spawn(async move { report(client, &namespace, &front, Ok(())).await });
        }
    }
}

/// Shows the Spirit's Rites as objects, and follows what is decided on them.
#[cfg(feature = "vigil-kubernetes")]
fn watch_rites(wired: &eywa_runtime::wiring::Wired, namespace: &str, client: kube::Client) {
    use std::sync::Arc;

    use eywa_runtime::rites::kubernetes::ClusterRites;

    let objects = Arc::new(ClusterRites::new(client, namespace));
    let changes = objects.follow(wired.serving.name());
    wired.serving.keep_rites(wired.ledger(objects), changes);
}

/// Follows the Spirit's Vigil objects.
#[cfg(feature = "vigil-kubernetes")]
fn watch_vigils(wired: eywa_runtime::wiring::Wired, namespace: &str, client: kube::Client) {
    use std::sync::Arc;

    use eywa_runtime::vigils::kubernetes::ClusterVigils;

    let serving = wired.serving.clone();
    serving.report_credentials(wired.credentials.clone(), client.clone(), namespace);
    let objects = Arc::new(ClusterVigils::new(client, namespace));
    let changes = objects.follow(serving.name());
    serving.keep_vigils(wired.rota(objects), changes);
}

/// The desk, whose people the cluster knows.
#[cfg(all(feature = "desk", feature = "vigil-kubernetes"))]
async fn open_desk(
    roster: Roster,
    namespace: &str,
    address: SocketAddr,
    client: kube::Client,
    stop: CancellationToken,
) -> Result<tokio::task::JoinHandle<()>, Box<dyn std::error::Error>> {
    use std::sync::Arc;

    use eywa_runtime::desk::{self, Desk, access::ClusterAccess};

    let listener = TcpListener::bind(address)
        .await
        .map_err(|error| cannot_listen(address, &error))?;
    let access = Arc::new(ClusterAccess::new(client, namespace));
    let routes = desk::routes(Desk::new(roster, access, namespace));
    Ok(tokio::spawn(serve(
        listener,
        routes,
        desk::CONNECTIONS,
        stop,
    )))
}
