//! A server of a test's own.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// How long a server may take to start.
const STARTS_WITHIN: Duration = Duration::from_secs(60);

/// Ends the server when its input ends, as it does with the test process, however that ends.
const GUARDIAN: &str = r#"signal=$1; shift
"$@" >>server.log 2>&1 & echo $! >server.pid; read -r _; kill -s "$signal" $!; wait"#;

/// A program that serves, in a folder of its own.
pub struct Server {
    folder: tempfile::TempDir,
    /// What ends it.
    signal: &'static str,
    command: Vec<String>,
    environment: Vec<(&'static str, String)>,
    /// Absent while it is stopped.
    guardian: Option<Child>,
}

impl Server {
    /// One that does not run yet.
    pub fn new(
        folder: tempfile::TempDir,
        signal: &'static str,
        command: Vec<String>,
        environment: Vec<(&'static str, String)>,
    ) -> Self {
        Self {
            folder,
            signal,
            command,
            environment,
            guardian: None,
        }
    }

    /// Starts it, and waits until it `serves`. Not, when it has ended by itself.
    pub fn start(&mut self, serves: impl Fn() -> bool) -> bool {
        let guardian = Command::new("sh")
            .args(["-c", GUARDIAN, "sh", self.signal])
            .args(&self.command)
            .envs(self.environment.iter().cloned())
            .current_dir(self.folder.path())
            .stdin(Stdio::piped())
            .spawn()
            .expect("these tests need a shell");
        self.guardian = Some(guardian);
        let start = Instant::now();
        while start.elapsed() < STARTS_WITHIN && !self.ended() {
            if serves() {
                return true;
            }
            std::thread::sleep(Duration::from_millis(30));
        }
        self.stop();
        false
    }

    /// Whether it has ended by itself: its guardian has not been told yet, so that it is left as a zombie.
    fn ended(&self) -> bool {
        let pid = std::fs::read_to_string(self.folder.path().join("server.pid"));
        let Some(pid) = pid.ok().filter(|pid| pid.ends_with('\n')) else {
            return false;
        };
        std::fs::read_to_string(format!("/proc/{}/stat", pid.trim()))
            .is_ok_and(|stat| stat.contains(") Z "))
    }

    /// Ends it, and waits until it has ended.
    pub fn stop(&mut self) {
        if let Some(mut guardian) = self.guardian.take() {
            drop(guardian.stdin.take());
            _ = guardian.wait();
        }
    }

    /// What it has written.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("server.log")).unwrap_or_default()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Ports that were free a moment ago, one after the other.
pub fn free_ports<const N: usize>() -> [u16; N] {
    let free = |port| TcpListener::bind(("127.0.0.1", port));
    for _ in 0..100 {
        let first = free(0).unwrap();
        let from = first.local_addr().unwrap().port();
        let others: Vec<_> = (1..N as u16)
            .map_while(|next| free(from.checked_add(next)?).ok())
            .collect();
        if others.len() + 1 == N {
            return std::array::from_fn(|next| from + next as u16);
        }
    }
    panic!("there are no {N} free ports in a row");
}

/// Whether there is an answer of this status.
#[cfg(feature = "lore-weaviate")]
pub fn answers(port: u16, path: &str, status: &str) -> bool {
    let ask = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_read_timeout(Some(Duration::from_secs(2)))?;
        write!(stream, "GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n")?;
        let mut answer = String::new();
        stream.take(1024).read_to_string(&mut answer)?;
        Ok(answer)
    };
    ask().is_ok_and(|answer| {
        let line = answer.lines().next().unwrap_or_default();
        line.split(' ').nth(1) == Some(status)
    })
}

/// A folder of what `cargo xtask tools` has installed.
pub fn tool(name: &str) -> PathBuf {
    let folder = |name: &str| std::env::var_os(name).map(PathBuf::from);
    let cache = folder("EYWA_CACHE")
        .or_else(|| Some(folder("XDG_CACHE_HOME")?.join("eywa")))
        .or_else(|| Some(folder("HOME")?.join(".cache/eywa")));
    let found = cache.unwrap().join("tools").join(name);
    assert!(
        found.is_dir(),
        "these tests need {name}: run `cargo xtask tools`"
    );
    found
}

/// The path as an argument.
pub fn argument(path: &Path) -> String {
    path.display().to_string()
}
