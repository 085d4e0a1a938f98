use std::{fs, sync::Arc};

use eywa_adapters::lore::InMemoryLore;
use eywa_crds::runtime_config::{CompiledEmbedder, CompiledLore, CompiledLoreStore};
use eywa_guard::Policy;
use eywa_weave::ports::{
    Embedder as _, Lore as _,
    lore::{Purpose, Search},
};

use super::*;
use crate::{
    metrics::Metrics,
    secrets::HeldSecrets,
    wiring::{Shared, lore::open},
};

fn source(name: &str, namespace: &str, documents: CompiledDocuments) -> CompiledLoreSource {
    CompiledLoreSource {
        name: name.to_owned(),
        documents,
        namespace: namespace.to_owned(),
        metadata: BTreeMap::from([("about".to_owned(), name.to_owned())]),
    }
}

fn config(sources: Vec<CompiledLoreSource>) -> IngestConfig {
    IngestConfig {
        version: eywa_crds::runtime_config::RUNTIME_CONFIG_VERSION,
        namespace: "cafe".to_owned(),
        spirit: "barista".to_owned(),
        lore: CompiledLore {
            store: CompiledLoreStore::Embedded,
            embedder: CompiledEmbedder::Hashing,
            top_k: 4,
            min_score: 0.1,
            filter: BTreeMap::new(),
            namespace: String::new(),
            cite: false,
            timeout: eywa_crds::Duration::from_secs(5),
            when: None,
            sources,
            chunks: ChunkSettings::default(),
        },
        network: Policy {
            loopback: true,
            ..Policy::default()
        },
    }
}

/// A Lore that outlives the ingestions of a test.
struct Cafe {
    lore: Arc<InMemoryLore>,
    mounted: tempfile::TempDir,
}

impl Cafe {
    fn new() -> Self {
        Self {
            lore: Arc::new(InMemoryLore::new()),
            mounted: tempfile::tempdir().unwrap(),
        }
    }

    /// As Kubernetes mounts a ConfigMap: keys are links into a folder that is swapped as a whole.
    fn mount(&self, config_map: &str, keys: &[(&str, &[u8])]) {
        let folder = self.mounted.path().join(config_map);
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(folder.join("..2026_11_23")).unwrap();
        std::os::unix::fs::symlink("..2026_11_23", folder.join("..data")).unwrap();
        for (key, bytes) in keys {
            fs::write(folder.join("..2026_11_23").join(key), bytes).unwrap();
            std::os::unix::fs::symlink(format!("..data/{key}"), folder.join(key)).unwrap();
        }
    }

    async fn ingest(&self, config: &IngestConfig) -> Result<Report, IngestError> {
        let lore = Arc::clone(&self.lore);
        let shared = Shared::new(config.network.clone(), Metrics::new().unwrap())
            .with_lore(Arc::new(move |_, _| Arc::clone(&lore) as _));
        let opened = open(
            &config.spirit,
            &config.lore,
            &HeldSecrets::default(),
            &shared,
        )?;
        let documents = Documents::Mounted(self.mounted.path().to_owned());
        let reader = Reader::new("/no/such/program");
        ingest(
            config,
            &opened,
            &documents,
            &reader,
            &shared.client,
            &|_| {},
        )
        .await
    }

    async fn found(&self, namespace: &str) -> Vec<String> {
        let embedder = eywa_adapters::embedder::HashingEmbedder::new();
        let vectors = embedder.embed(&["tea"], Purpose::Query).await.unwrap();
        let filter = BTreeMap::new();
        let search = Search {
            namespace,
            vector: &vectors.vectors[0],
            filter: &filter,
            top_k: 100,
            min_score: -1.0,
        };
        let mut found: Vec<String> = self
            .lore
            .search(search)
            .await
            .unwrap()
            .into_iter()
            .map(|found| found.passage.source)
            .collect();
        found.sort();
        found
    }
}

#[tokio::test]
async fn every_source_is_brought_to_its_namespace_and_what_is_no_source_any_more_is_removed() {
    let cafe = Cafe::new();
    let server = wiremock::MockServer::start().await;
    let page = wiremock::ResponseTemplate::new(200).set_body_raw("Tea is grown.", "text/plain");
    wiremock::Mock::given(wiremock::matchers::path("/about"))
        .respond_with(page)
        .mount(&server)
        .await;
    cafe.mount(
        "menu",
        &[("menu.md", b"# Menu\nTea."), ("photo.png", b"\x89PNG")],
    );
    cafe.mount("vip", &[("vip.txt", b"Tea for two.")]);
    let url = format!("{}/about", server.uri());
    let menu = source("menu", "", CompiledDocuments::ConfigMap("menu".into()));
    let vip = source("vip", "vip", CompiledDocuments::ConfigMap("vip".into()));
    let web = source("web", "", CompiledDocuments::Urls(vec![url.clone()]));
    let all = config(vec![menu.clone(), vip.clone(), web]);
    let report = cafe.ingest(&all).await.unwrap();
    assert_eq!((report.documents, report.embedded), (4, 3));
    assert_eq!(report.skipped[0].source, "menu/photo.png");
    assert_eq!(cafe.found("").await, [url.as_str(), "menu/menu.md"]);
    assert_eq!(cafe.found("vip").await, ["vip/vip.txt"]);

    let report = cafe.ingest(&config(vec![menu, vip])).await.unwrap();
    assert_eq!(
        (report.unchanged, report.embedded, report.removed),
        (2, 0, 1)
    );
    assert_eq!(cafe.found("").await, ["menu/menu.md"]);
}

#[tokio::test]
async fn a_config_map_that_is_not_there_ends_it_before_anything_is_removed() {
    let cafe = Cafe::new();
    cafe.mount("menu", &[("menu.md", b"Tea.")]);
    let menu = source("menu", "", CompiledDocuments::ConfigMap("menu".into()));
    cafe.ingest(&config(vec![menu])).await.unwrap();
    let gone = source("gone", "", CompiledDocuments::ConfigMap("gone".into()));
    let error = cafe
        .ingest(&config(vec![gone]))
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains("ConfigMap \"gone\""), "{error}");
    assert_eq!(cafe.found("").await, ["menu/menu.md"]);
}

#[tokio::test]
async fn an_address_that_is_not_allowed_is_told_and_not_asked() {
    let cafe = Cafe::new();
    let urls = vec!["http://169.254.169.254/latest/meta-data/".to_owned()];
    let report = cafe
        .ingest(&config(vec![source(
            "web",
            "",
            CompiledDocuments::Urls(urls),
        )]))
        .await
        .unwrap();
    assert!(
        report.skipped[0].reason.contains("never reached"),
        "{report:?}"
    );
}

#[tokio::test]
async fn a_collection_that_does_not_fit_the_embedder_is_said_before_anything_is_read() {
    let cafe = Cafe::new();
    cafe.lore.prepare(7).await.unwrap();
    let error = cafe
        .ingest(&config(Vec::new()))
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains("512 dimensions"), "{error}");
}
