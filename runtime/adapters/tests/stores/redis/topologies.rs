//! The other ways to reach Redis: a cluster, sentinels, TLS, a user of its own.

use std::{
    path::Path,
    process::Command,
    sync::{
        LazyLock,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
};

use eywa_adapters::{
    bond::RedisBond,
    inbox::RedisInbox,
    redis::{Redis, Scope},
    vigil::RedisVigil,
};
use eywa_weave::{
    StoreError,
    ports::{Bond, Inbox, inbox::Acceptance},
};
use secrecy::SecretString;

use super::server::{RedisServer, free_port};
use crate::suites::{LONG, ana, pulse, until};

/// Three masters that share the slots.
struct Cluster {
    nodes: Vec<RedisServer>,
}

impl Cluster {
    fn start() -> Self {
        let node = |_: &Path| {
            let bus = free_port().to_string();
            let settings = ["--cluster-enabled", "yes", "--cluster-port", &bus];
            settings.map(str::to_owned).to_vec()
        };
        let nodes: Vec<_> = (0..3).map(|_| RedisServer::with(node)).collect();
        let hosts: Vec<_> = nodes
            .iter()
            .map(|node| format!("127.0.0.1:{}", node.port()))
            .collect();
        let made = Command::new("redis-cli")
            .args(["--cluster", "create"])
            .args(&hosts)
            .arg("--cluster-yes")
            .output()
            .unwrap();
        assert!(made.status.success(), "{made:?}");
        Self { nodes }
    }

    /// By two of the three.
    fn url(&self) -> SecretString {
        let port = |node: usize| self.nodes[node].port();
        format!(
            "redis-cluster://127.0.0.1:{},127.0.0.1:{}",
            port(0),
            port(1)
        )
        .into()
    }
}

/// One cluster for the whole process; each test has a Spirit of its own in it, and so they are spread over its nodes.
static CLUSTER: LazyLock<Cluster> = LazyLock::new(Cluster::start);

async fn spirit() -> Redis {
    static SPIRITS: AtomicUsize = AtomicUsize::new(0);
    let spirit = format!("spirit-{}", SPIRITS.fetch_add(1, SeqCst));
    let redis = Redis::new(&CLUSTER.url(), Scope::new("cluster", &spirit)).unwrap();
    // The nodes agree a moment after the cluster is made.
    until("the cluster to be whole", async || {
        let depth = RedisInbox::new(redis.clone()).depth().await;
        depth.ok()
    })
    .await;
    redis
}

mod on_a_cluster {
    use super::*;
    crate::redis::every_suite!();
}

/// The user that docs/stores.md tells an administrator to make.
fn make_user(server: &RedisServer, more: &[&str]) {
    let rights = [
        "on",
        ">fake-password",
        "~eywa:*",
        "+@read",
        "+@write",
        "+@scripting",
        "+@connection",
        "+time",
        "-@dangerous",
    ];
    let made = server.say(&[&["ACL", "SETUSER", "eywa"][..], &rights, more].concat());
    assert_eq!(made.trim(), "OK");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_master_that_sentinels_choose_is_followed() {
    let mut master = RedisServer::start();
    let replica = RedisServer::with(|_| {
        let of = ["--replicaof", "127.0.0.1", &master.port().to_string()];
        of.map(str::to_owned).to_vec()
    });
    let sentinel = RedisServer::with(|folder| {
        let file = folder.join("sentinel.conf");
        let known = format!(
            "sentinel monitor cafe 127.0.0.1 {} 1\n\
             sentinel down-after-milliseconds cafe 500\n\
             sentinel failover-timeout cafe 3000\n",
            master.port()
        );
        std::fs::write(&file, known).unwrap();
        // A file comes before every setting.
        vec![file.display().to_string(), "--sentinel".to_owned()]
    });
    until("the replica to be known and in step", async || {
        let known = sentinel.say(&["SENTINEL", "REPLICAS", "cafe"]);
        (known.contains(&replica.port().to_string())
            && replica
                .say(&["INFO", "replication"])
                .contains("master_link_status:up"))
        .then_some(())
    })
    .await;

    for server in [&master, &replica] {
        make_user(server, &["+role"]);
    }
    let url = format!(
        "redis-sentinel://eywa:fake-password@127.0.0.1:1,127.0.0.1:{}/cafe",
        sentinel.port()
    );
    let redis = Redis::new(&url.into(), Scope::new("tests", "a")).unwrap();
    let inbox = RedisInbox::new(redis);
    let first = inbox.accept(&[pulse("a")], LONG).await.unwrap();
    assert_eq!(first, [Acceptance::New]);
    until("the replica to have it", async || {
        (!replica.say(&["KEYS", "*seen*"]).trim().is_empty()).then_some(())
    })
    .await;

    master.stop();
    let again = until("the replica to be promoted", async || {
        inbox.accept(&[pulse("a"), pulse("b")], LONG).await.ok()
    });
    assert_eq!(again.await, [Acceptance::Duplicate, Acceptance::New]);
    assert!(replica.say(&["ROLE"]).starts_with("master"));
}

/// A server that speaks TLS with a certificate by an authority of the test's own; the authority, in PEM.
fn with_tls() -> (RedisServer, u16, Vec<u8>) {
    let authority = rcgen::KeyPair::generate().unwrap();
    let mut named = rcgen::CertificateParams::new(vec![]).unwrap();
    named.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let ca = named.self_signed(&authority).unwrap();
    let issuer = rcgen::Issuer::new(named, authority);
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = rcgen::CertificateParams::new(vec!["127.0.0.1".to_owned()])
        .unwrap()
        .signed_by(&key, &issuer)
        .unwrap();
    let port = free_port();
    let server = RedisServer::with(|folder| {
        let write = |name: &str, pem: String| {
            let file = folder.join(name);
            std::fs::write(&file, pem).unwrap();
            file.display().to_string()
        };
        vec![
            "--tls-port".to_owned(),
            port.to_string(),
            "--tls-cert-file".to_owned(),
            write("server.pem", certificate.pem()),
            "--tls-key-file".to_owned(),
            write("server.key", key.serialize_pem()),
            "--tls-ca-cert-file".to_owned(),
            write("ca.pem", ca.pem()),
            "--tls-auth-clients".to_owned(),
            "no".to_owned(),
        ]
    });
    (server, port, ca.pem().into_bytes())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tls_is_spoken_with_those_whose_authority_is_trusted_and_nobody_else() {
    _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let (_server, port, ca) = with_tls();
    let url = SecretString::from(format!("rediss://127.0.0.1:{port}"));
    let scope = Scope::new("tests", "a");
    let trusting = Redis::trusting(&url, Some(&ca), scope.clone()).unwrap();
    trusting.ping().await.unwrap();
    assert!(
        RedisBond::new(trusting)
            .acquire(&ana(), LONG)
            .await
            .unwrap()
            .is_some()
    );

    let (_other, _, stranger) = with_tls();
    for redis in [
        Redis::new(&url, scope.clone()).unwrap(),
        Redis::trusting(&url, Some(&stranger), scope.clone()).unwrap(),
    ] {
        let refused = redis.ping().await.unwrap_err();
        assert!(
            matches!(&refused, StoreError::Unavailable { reason, .. } if reason.contains("ertificate")),
            "{refused}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_with_few_rights_is_enough() {
    let server = RedisServer::start();
    make_user(&server, &[]);
    let url = format!("redis://eywa:fake-password@127.0.0.1:{}", server.port());
    let redis = Redis::new(&url.into(), Scope::new("tests", "a")).unwrap();
    let vigil = RedisVigil::new(redis.clone());
    super::exercise(&redis, &vigil).await;

    let url = format!("redis://eywa:wrong@127.0.0.1:{}", server.port());
    let refused = Redis::new(&url.into(), Scope::new("tests", "a")).unwrap();
    let refused = refused.ping().await.unwrap_err().to_string();
    assert!(
        refused.contains("WRONGPASS") || refused.contains("uthentication"),
        "{refused}"
    );
    assert!(!refused.contains("fake-password"), "{refused}");
}
