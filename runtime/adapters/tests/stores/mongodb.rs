//! The MongoDB adapters, on a server of another make that speaks its wire protocol.

use std::{
    net::{TcpListener, TcpStream},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::{
        Arc, LazyLock,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};

use eywa_adapters::{chronicle::MongoChronicle, echoes::MongoEchoes, mongodb::Mongo};
use eywa_weave::{
    Echo, EchoBody, StoreError,
    ports::{Chronicle, Echoes},
};

use crate::suites::{self, ana};

/// The server's jars, as `cargo xtask tools` fetches them.
fn jars() -> PathBuf {
    let folder = |name: &str| std::env::var_os(name).map(PathBuf::from);
    let cache = folder("EYWA_CACHE")
        .or_else(|| Some(folder("XDG_CACHE_HOME")?.join("eywa")))
        .or_else(|| Some(folder("HOME")?.join(".cache/eywa")));
    let jars = cache.unwrap().join("tools/mongo-java-server-1.47.0");
    assert!(
        jars.is_dir(),
        "these tests need a server that speaks MongoDB's protocol: run `cargo xtask tools`"
    );
    jars
}

/// Ends the server when its input ends, as it does with the test process, however that ends.
const GUARDIAN: &str = r#""$@" >/dev/null 2>&1 & read -r _; kill -9 $!; wait"#;

struct MongoServer {
    port: u16,
    guardian: Child,
}

impl MongoServer {
    fn start() -> Self {
        for _ in 0..5 {
            let port = {
                let listener = TcpListener::bind("127.0.0.1:0").unwrap();
                listener.local_addr().unwrap().port()
            };
            let class_path = jars().join("*");
            let guardian = Command::new("sh")
                .args(["-c", GUARDIAN, "sh", "java", "-Xmx256m", "-cp"])
                .arg(class_path)
                .arg(concat!(
                    env!("CARGO_MANIFEST_DIR"),
                    "/tests/stores/mongodb/Server.java"
                ))
                .arg(port.to_string())
                .stdin(Stdio::piped())
                .spawn()
                .expect("these tests need a shell and Java");
            let server = Self { port, guardian };
            let start = Instant::now();
            while start.elapsed() < Duration::from_secs(20) {
                if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                    return server;
                }
                std::thread::sleep(Duration::from_millis(20));
            }
        }
        panic!("the server does not start");
    }

    fn url(&self) -> String {
        format!("mongodb://127.0.0.1:{}", self.port)
    }
}

impl Drop for MongoServer {
    fn drop(&mut self) {
        drop(self.guardian.stdin.take());
        _ = self.guardian.wait();
    }
}

/// One server for the whole process; each test has a Spirit of its own in it.
static SERVER: LazyLock<MongoServer> = LazyLock::new(MongoServer::start);

fn spirit() -> Mongo {
    static SPIRITS: AtomicUsize = AtomicUsize::new(0);
    let spirit = format!("spirit-{}", SPIRITS.fetch_add(1, SeqCst));
    Mongo::new(SERVER.url().into(), "eywa", "tests", &spirit)
}

mod echoes {
    use super::*;
    suites::echoes_suite!(async || Arc::new(MongoEchoes::new(spirit())));
}

mod chronicle {
    use super::*;
    suites::chronicle_suite!(async || Arc::new(MongoChronicle::new(spirit())));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_away_is_unavailable_within_bounds_and_heals() {
    let server = MongoServer::start();
    let mongo = Mongo::new(server.url().into(), "eywa", "tests", "a");
    mongo.prepare().await.unwrap();
    let echoes = MongoEchoes::new(mongo);
    assert_eq!(echoes.recent(&ana(), 9).await.unwrap(), []);
    drop(server);
    let start = Instant::now();
    let refused = echoes.recent(&ana(), 9).await;
    assert!(
        matches!(
            refused,
            Err(StoreError::Unavailable {
                store: "mongodb",
                ..
            })
        ),
        "{refused:?}"
    );
    assert!(
        start.elapsed() < Duration::from_secs(6),
        "{:?}",
        start.elapsed()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_url_that_cannot_be_used_is_told_without_its_password() {
    for url in [
        "http://:fake-password@host",
        "mongodb://user:fake-password@",
    ] {
        let mongo = Mongo::new(url.into(), "eywa", "tests", "a");
        let refused = mongo.prepare().await.unwrap_err().to_string();
        assert!(!refused.contains("fake-password"), "{refused}");
        assert!(!format!("{mongo:?}").contains("fake-password"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_spirits_in_one_database_do_not_meet() {
    let barista = spirit();
    let waiter = barista.scoped("tests", "another");
    let said = Echo {
        id: "a".into(),
        at: jiff::Timestamp::UNIX_EPOCH,
        pulse: None,
        body: EchoBody::TookOver { by: "ana".into() },
    };
    let echoes = MongoEchoes::new(barista.clone());
    echoes.append(&ana(), None, &[said]).await.unwrap();
    let others = MongoEchoes::new(waiter.clone());
    assert_eq!(others.recent(&ana(), 9).await.unwrap(), []);
    assert_eq!(others.latest(None, 9).await.unwrap(), []);
    assert_eq!(echoes.recent(&ana(), 9).await.unwrap().len(), 1);
    let chronicle = MongoChronicle::new(waiter);
    assert_eq!(chronicle.of_session(&ana(), 9).await.unwrap(), []);
}
