//! What a Pulse costs.
//!
//! `cargo xtask bench` builds the runtime in release and runs this. It sends signed WhatsApp webhooks to one
//! `eywa-runtime` on a real Redis, with a stand-in for the model that takes 50 ms and a stand-in for the Graph API, and
//! measures that process alone: CPU from `/proc/PID/stat`, memory from `/proc/PID/status`. Then the same load goes to a
//! floor: a program that makes the same trips to Redis, model and channel with no logic at all.

mod drive;
mod floor;
mod measure;
mod spirit;
mod standins;

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use clap::{Parser, Subcommand};
use tokio::process::{Child, Command};

use self::{drive::Load, measure::Process, standins::Standins};

/// The longest that a program may take to start.
const STARTED_WITHIN: Duration = Duration::from_secs(20);

#[derive(Parser)]
struct Cli {
    #[command(subcommand)]
    command: What,
}

#[derive(Subcommand)]
enum What {
    /// Measure the runtime and the floor, in turn.
    Compare {
        /// The `eywa-runtime` to measure.
        runtime: PathBuf,
        /// How many Pulses in each run.
        #[arg(long, default_value_t = 20_000)]
        pulses: usize,
        /// How many runs of each; the median is told.
        #[arg(long, default_value_t = 3)]
        runs: usize,
    },
    /// Be the floor.
    #[command(hide = true)]
    Floor {
        http: SocketAddr,
        redis: String,
        standins: String,
    },
}

/// What one run of one program showed.
struct Figures {
    pulses_per_second: f64,
    cpu_per_pulse: Duration,
    idle: u64,
    loaded: u64,
    ready: Duration,
    redis_scripts: f64,
}

#[tokio::main]
async fn main() -> Result<()> {
    // Fails only where one is installed already, and nobody was before us.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    match Cli::parse().command {
        What::Compare {
            runtime,
            pulses,
            runs,
        } => compare(&runtime, pulses, runs).await,
        What::Floor {
            http,
            redis,
            standins,
        } => floor::serve(http, &redis, &standins).await,
    }
}

async fn compare(runtime: &Path, pulses: usize, runs: usize) -> Result<()> {
    let (mut ours, mut floors) = (Vec::new(), Vec::new());
    for run in 1..=runs {
        eprintln!("run {run} of {runs}");
        ours.push(
            one(pulses, |at, redis, standins, dir| {
                runtime_command(runtime, at, redis, standins, dir)
            })
            .await?,
        );
        floors.push(
            one(pulses, |at, redis, standins, _| {
                floor_command(at, redis, standins)
            })
            .await?,
        );
    }
    measure::print_machine();
    println!(
        "{pulses} Pulses a run, 1,000 people, 32 connections, a model that takes 50 ms; median of {runs} runs\n"
    );
    println!("{:<34}{:>12}{:>12}{:>9}", "", "runtime", "floor", "ratio");
    let row = |name: &str, of: fn(&Figures) -> f64| {
        let (ours, floor) = (median(&ours, of), median(&floors, of));
        println!("{name:<34}{ours:>12.2}{floor:>12.2}{:>9.2}", ours / floor);
    };
    row("Pulses a second", |figures| figures.pulses_per_second);
    row("CPU a Pulse, ms", |figures| {
        figures.cpu_per_pulse.as_secs_f64() * 1e3
    });
    row("Redis scripts a Pulse", |figures| figures.redis_scripts);
    row("memory idle, MiB", |figures| {
        figures.idle as f64 / (1024.0 * 1024.0)
    });
    row("memory under load, MiB", |figures| {
        figures.loaded as f64 / (1024.0 * 1024.0)
    });
    row("start to ready, ms", |figures| {
        figures.ready.as_secs_f64() * 1e3
    });
    Ok(())
}

fn median(figures: &[Figures], of: fn(&Figures) -> f64) -> f64 {
    let mut values: Vec<f64> = figures.iter().map(of).collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// One run of one program: everything around it is fresh.
async fn one(
    pulses: usize,
    command: impl FnOnce(SocketAddr, &str, &str, &Path) -> Result<Command>,
) -> Result<Figures> {
    let dir = tempfile::tempdir()?;
    let redis_at = measure::free_address()?;
    let redis_url = format!("redis://{redis_at}");
    let _redis = spawn(
        Command::new("redis-server")
            .args([
                "--port",
                &redis_at.port().to_string(),
                "--bind",
                "127.0.0.1",
                "--save",
                "",
            ])
            .args(["--appendonly", "yes", "--appendfsync", "everysec"])
            .current_dir(dir.path()),
    )
    .context("redis-server cannot be run; install it (Debian: apt-get install redis-server)")?;
    let mut redis = measure::redis(&redis_url, STARTED_WITHIN).await?;
    let standins = Standins::start().await?;
    let http = measure::free_address()?;
    let began = Instant::now();
    let child = spawn(&mut command(http, &redis_url, &standins.url(), dir.path())?)?;
    let process = Process::of(child.id().context("it ended at once")?);
    measure::until_ready(http, STARTED_WITHIN).await?;
    let ready = began.elapsed();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let idle = process.memory()?;

    let load = Load::new(http, &standins);
    load.send(pulses / 20).await?; // A warm-up, not counted.
    let (cpu, scripts, began) = (
        process.cpu()?,
        measure::scripts(&mut redis).await?,
        Instant::now(),
    );
    load.send(pulses).await?;
    let took = began.elapsed();
    let spent = process.cpu()?.saturating_sub(cpu);
    let scripts = measure::scripts(&mut redis).await? - scripts;
    let loaded = process.memory()?;
    let answered = standins.answered();
    if answered < pulses {
        bail!("{pulses} Pulses were sent and {answered} answered");
    }
    let pulses = u32::try_from(pulses)?;
    Ok(Figures {
        pulses_per_second: f64::from(pulses) / took.as_secs_f64(),
        cpu_per_pulse: spent / pulses,
        idle,
        loaded,
        ready,
        redis_scripts: scripts as f64 / f64::from(pulses),
    })
}

fn spawn(command: &mut Command) -> Result<Child> {
    Ok(command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .kill_on_drop(true)
        .spawn()?)
}

fn runtime_command(
    runtime: &Path,
    http: SocketAddr,
    redis: &str,
    standins: &str,
    dir: &Path,
) -> Result<Command> {
    let (config, secrets) = spirit::write(dir, redis, standins)?;
    let admin = measure::free_address()?;
    let mut command = Command::new(runtime);
    command
        .arg("--config")
        .arg(config)
        .arg("--secrets")
        .arg(secrets);
    command.args(["--http", &http.to_string(), "--admin", &admin.to_string()]);
    command.env("RUST_LOG", "warn").env_remove("KUBECONFIG");
    Ok(command)
}

fn floor_command(http: SocketAddr, redis: &str, standins: &str) -> Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["floor", &http.to_string(), redis, standins]);
    Ok(command)
}
