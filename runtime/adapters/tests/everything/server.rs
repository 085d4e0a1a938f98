//! The reference server of the Model Context Protocol, `@modelcontextprotocol/server-everything`, as a process.

use std::{
    env,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Duration,
};

use tokio::time::Instant;
use url::Url;

/// The version that `cargo xtask tools` installs.
pub const VERSION: &str = "2026.8.31";

/// How long the server may take to start.
const STARTS_WITHIN: Duration = Duration::from_secs(60);

/// The server listens on every address of the machine and cannot be told otherwise. This, which node runs first, has it
/// listen on the loopback alone.
const ON_LOOPBACK: &str = "data:text/javascript,\
import net from 'node:net';\
const listen = net.Server.prototype.listen;\
net.Server.prototype.listen = function (port, ...rest) {\
return listen.call(this, { port: Number(port), host: '127.0.0.1' }, ...rest) };";

/// The server, on a port of its own. It ends with this value.
pub struct Server {
    port: u16,
    process: Option<Child>,
}

impl Server {
    pub async fn start() -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let mut server = Self {
            port: listener.local_addr().unwrap().port(),
            process: None,
        };
        drop(listener);
        server.start_again().await;
        server
    }

    pub fn url(&self) -> Url {
        format!("http://127.0.0.1:{}/mcp", self.port)
            .parse()
            .unwrap()
    }

    /// Starts it, at the same address as before, with nothing of what it knew before.
    pub async fn start_again(&mut self) {
        self.kill();
        let process = Command::new("node")
            .args(["--import", ON_LOOPBACK])
            .arg(program())
            .arg("streamableHttp")
            .env("PORT", self.port.to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        self.process = Some(process);
        let until = Instant::now() + STARTS_WITHIN;
        while tokio::net::TcpStream::connect(("127.0.0.1", self.port))
            .await
            .is_err()
        {
            let ended = self.process.as_mut().unwrap().try_wait().unwrap();
            assert!(ended.is_none(), "the server ended: {ended:?}");
            assert!(Instant::now() < until, "it did not start in time");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Ends the process at once, as a crash would.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

fn program() -> PathBuf {
    let cache = env::var_os("EYWA_CACHE").map(PathBuf::from);
    let caches = || {
        env::var_os("XDG_CACHE_HOME")
            .map(PathBuf::from)
            .or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".cache")))
            .map(|caches| caches.join("eywa"))
    };
    let program = cache.or_else(caches).unwrap().join(format!(
        "tools/server-everything-{VERSION}/node_modules/@modelcontextprotocol/server-everything/dist/index.js"
    ));
    assert!(
        program.is_file(),
        "this test needs MCP's reference server: run `cargo xtask tools` ({} is not there)",
        program.display()
    );
    program
}
