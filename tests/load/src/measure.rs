//! Reading what a process costs, from `/proc`.

use std::{
    fs,
    net::{SocketAddr, TcpListener},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use redis::aio::MultiplexedConnection;
use tokio::{net::TcpStream, time::timeout};

/// `sysconf(_SC_CLK_TCK)`, which is 100 on every Linux that Rust's standard library supports.
const TICKS_A_SECOND: u64 = 100;

/// How long one try to connect may take.
const TRY: Duration = Duration::from_millis(50);

/// A process that is measured.
pub(crate) struct Process(u32);

impl Process {
    pub(crate) fn of(pid: u32) -> Self {
        Self(pid)
    }

    /// User and system time of all its threads until now.
    pub(crate) fn cpu(&self) -> Result<Duration> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.0)).context("it has ended")?;
        // The name, in brackets, may hold spaces; utime and stime are fields 14 and 15 (proc(5)).
        let (_, fields) = stat.rsplit_once(')').context("no stat")?;
        let ticks: u64 = fields
            .split_whitespace()
            .skip(11)
            .take(2)
            .map(|field| field.parse::<u64>().unwrap_or(0))
            .sum();
        Ok(Duration::from_millis(ticks * 1000 / TICKS_A_SECOND))
    }

    /// Resident memory in bytes.
    pub(crate) fn memory(&self) -> Result<u64> {
        let status =
            fs::read_to_string(format!("/proc/{}/status", self.0)).context("it has ended")?;
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))
            .context("no VmRSS")?;
        let kilobytes: u64 = line.trim().trim_end_matches("kB").trim().parse()?;
        Ok(kilobytes * 1024)
    }
}

pub(crate) fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

/// Waits until something takes connections there.
pub(crate) async fn until_ready(http: SocketAddr, within: Duration) -> Result<()> {
    let began = Instant::now();
    // A try that is not taken up at once is given up: the kernel would repeat it after a second only.
    while !matches!(timeout(TRY, TcpStream::connect(http)).await, Ok(Ok(_))) {
        if began.elapsed() > within {
            bail!("it did not start within {within:?}");
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    Ok(())
}

/// A connection to Redis, once it answers.
pub(crate) async fn redis(url: &str, within: Duration) -> Result<MultiplexedConnection> {
    let (client, began) = (redis::Client::open(url)?, Instant::now());
    loop {
        match client.get_multiplexed_async_connection().await {
            Ok(connection) => return Ok(connection),
            Err(error) if began.elapsed() > within => return Err(error.into()),
            Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    }
}

/// How many scripts Redis has run. Plain reads are left out: Redis counts those inside of scripts among them.
pub(crate) async fn scripts(redis: &mut MultiplexedConnection) -> Result<u64> {
    let info: String = redis::cmd("INFO")
        .arg("commandstats")
        .query_async(redis)
        .await?;
    let calls = |name: &str| {
        let prefix = format!("cmdstat_{name}:calls=");
        info.lines()
            .find_map(|line| {
                line.strip_prefix(&prefix)?
                    .split(',')
                    .next()?
                    .parse::<u64>()
                    .ok()
            })
            .unwrap_or(0)
    };
    Ok(calls("evalsha") + calls("eval"))
}

pub(crate) fn print_machine() {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let cpuinfo = read("/proc/cpuinfo");
    let model = cpuinfo
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split(": ").nth(1))
        .unwrap_or("unknown");
    let cores = cpuinfo
        .lines()
        .filter(|line| line.starts_with("processor"))
        .count();
    println!(
        "{cores} cores of {model}, Linux {}",
        read("/proc/sys/kernel/osrelease").trim()
    );
}
