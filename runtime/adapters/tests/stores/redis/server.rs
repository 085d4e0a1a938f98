//! A `redis-server` of a test's own.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use secrecy::SecretString;
use tempfile::TempDir;

/// A Redis on a free port of the loopback, which keeps its data in a folder of its own and ends with the test.
pub struct RedisServer {
    port: u16,
    folder: TempDir,
    settings: Vec<String>,
    /// Absent while it is stopped.
    guardian: Option<Child>,
}

/// Ends the server when its input ends, as it does with the test process, however that ends.
const GUARDIAN: &str = r#"redis-server "$@" & echo $! > server.pid; read -r _; kill -9 $!; wait"#;

impl RedisServer {
    /// Starts one, and waits until it answers.
    pub fn start() -> Self {
        Self::with(|_| Vec::new())
    }

    /// Starts one with more on its command line, which may name files in its folder, and waits until it answers.
    pub fn with(settings: impl Fn(&Path) -> Vec<String>) -> Self {
        let found = Command::new("redis-server").arg("--version").output();
        assert!(
            found.is_ok(),
            "these tests need redis-server: apt-get install redis-server"
        );
        for _ in 0..5 {
            // Free a moment ago. Should somebody take it meanwhile, another one is tried.
            let port = free_port();
            let folder = tempfile::tempdir().unwrap();
            let mut server = Self {
                port,
                settings: settings(folder.path()),
                folder,
                guardian: None,
            };
            server.spawn();
            if server.answers() {
                return server;
            }
        }
        panic!("redis-server does not start");
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Where it is.
    pub fn url(&self) -> SecretString {
        format!("redis://127.0.0.1:{}", self.port).into()
    }

    /// Ends it as a crash does.
    pub fn stop(&mut self) {
        if let Some(mut guardian) = self.guardian.take() {
            drop(guardian.stdin.take());
            guardian.wait().unwrap();
        }
    }

    /// Starts it again where it was, with what it has kept.
    pub fn start_again(&mut self) {
        self.stop();
        self.spawn();
        assert!(self.answers(), "redis-server does not start again");
    }

    /// Sends the server a signal.
    pub fn signal(&self, signal: &str) {
        let pid = std::fs::read_to_string(self.folder.path().join("server.pid")).unwrap();
        assert!(
            Command::new("kill")
                .arg(format!("-{signal}"))
                .arg(pid.trim())
                .status()
                .unwrap()
                .success()
        );
    }

    /// Runs a command, with `redis-cli`, and gives what it printed.
    pub fn say(&self, command: &[&str]) -> String {
        let port = self.port.to_string();
        let said = Command::new("redis-cli")
            .args(["--no-auth-warning", "-p", &port])
            .args(command)
            .output()
            .unwrap();
        assert!(said.status.success(), "{said:?}");
        String::from_utf8(said.stdout).unwrap()
    }

    fn spawn(&mut self) {
        let guardian = Command::new("sh")
            .args(["-c", GUARDIAN, "sh"])
            .args(&self.settings)
            .args(["--port", &self.port.to_string(), "--bind", "127.0.0.1"])
            .args([
                "--save",
                "",
                "--appendonly",
                "yes",
                "--maxmemory-policy",
                "noeviction",
            ])
            .current_dir(self.folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        self.guardian = Some(guardian.unwrap());
    }

    /// Whether it answers within a while.
    fn answers(&self) -> bool {
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(5) {
            if self.pong().is_ok_and(|answer| answer.starts_with(b"+PONG")) {
                return true;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        false
    }

    fn pong(&self) -> std::io::Result<[u8; 7]> {
        let mut connection = TcpStream::connect(("127.0.0.1", self.port))?;
        connection.set_read_timeout(Some(Duration::from_secs(1)))?;
        connection.write_all(b"PING\r\n")?;
        let mut answer = [0; 7];
        connection.read_exact(&mut answer)?;
        Ok(answer)
    }
}

/// A port that was free a moment ago.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.stop();
    }
}
