//! What compiling says of Spirits that are wrong.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

use std::collections::{BTreeMap, BTreeSet};

use eywa_crds::{
    Conduit,
    compile::{
        ConditionType, DefaultStores, Defaults, Problem, Surroundings, compile, compile_conduit,
    },
    conduit::ConduitSpec,
    runtime_config::{RedisUrls, RuntimeConfig, SecretFile, StoresConfig},
    spirit::SpiritSpec,
};
use serde_json::{Value, json};

/// A Spirit that uses everything there is, soundly.
fn whole() -> Value {
    json!({
        "persona": {"configMapRef": {"name": "barista", "key": "persona.md"}},
        "oracle": {"provider": "openai", "model": "gpt-5-mini", "temperature": 0.2, "maxTokens": 1024,
                   "apiKey": {"secretRef": {"name": "openai", "key": "api-key"}}},
        "fallbacks": [{"provider": "openai", "model": "llama", "baseUrl": "http://ollama:11434/v1"}],
        "voices": [
            {"name": "wa", "whatsapp": {"phoneNumberId": "1055", "secretRef": {"name": "wa"}}},
            {"name": "web", "http": {"secretRef": {"name": "web", "key": "signing-key"}, "replyUrl": "https://shop.example/eywa"}},
        ],
        "bond": {"whenBusy": "merge", "merge": {"quiet": "2s"}},
        "scouts": [{"name": "crm", "timeout": "800ms", "when": "voice == 'wa'",
                    "http": {"url": "https://crm.example/people/{{ user.id }}",
                             "headersFrom": [{"name": "Authorization", "secretRef": {"name": "crm", "key": "bearer"}}]}}],
        "actions": [{"name": "place_order", "description": "Orders.",
                     "parameters": {"type": "object", "properties": {"drink": {"type": "string"}}},
                     "http": {"url": "https://shop.example/orders/{{ arguments.drink }}"}}],
        "conduits": [{"name": "shop-tools", "tools": ["menu_*"]}],
        "pathfinder": {"routes": [{"spirit": "billing", "when": "text.matches('(?i)invoice')"}]},
        "vigil": {"summon": true, "summonWhen": "text.matches('(?i)lawyer')", "releasePhrases": ["bot"],
                  "notify": {"url": "https://chat.example/hooks", "secretRef": {"name": "chat", "key": "signing-key"}}},
        "memory": {"remember": true},
        "lore": {
            "store": {"qdrant": {"url": "https://qdrant.example:6333", "collection": "menu"}},
            "embedder": {"provider": "openai", "model": "text-embedding-3-small", "dimensions": 1536,
                         "baseUrl": "http://embeddings:8080/v1"},
            "sources": [{"name": "site", "urls": ["https://cafe.example/hours"]}],
        },
        "imprint": {"enabled": true},
        "stores": {
            "redis": {"urls": {"secretRef": {"name": "redis", "key": "url"}}},
            "google": {
                "tasks": {"project": "cafe-1234", "location": "europe-west1", "queue": "pulses",
                          "url": "https://cafe.example/tasks/barista", "serviceAccount": "pusher@cafe.example"},
                "storage": {"bucket": "cafe-files"},
            },
        },
    })
}

fn spec(value: Value) -> SpiritSpec {
    serde_json::from_value(value).unwrap()
}

fn keys(of: &[(&str, &[&str])]) -> BTreeMap<String, BTreeSet<String>> {
    of.iter()
        .map(|(name, keys)| {
            (
                (*name).to_owned(),
                keys.iter().map(|key| (*key).to_owned()).collect(),
            )
        })
        .collect()
}

fn conduit(name: &str, spec: Value) -> Conduit {
    Conduit::new(name, serde_json::from_value::<ConduitSpec>(spec).unwrap())
}

/// All that [`whole`] refers to.
fn around() -> Surroundings {
    let billing = json!({
        "persona": {"text": "You know invoices."},
        "oracle": {"provider": "scripted", "script": {"rules": [{"reply": {"text": "Which invoice?"}}]}},
        "voices": [{"name": "wa", "whatsapp": {"phoneNumberId": "1", "secretRef": {"name": "not-needed-here"}}}],
    });
    Surroundings {
        namespace: "cafe".to_owned(),
        spirits: BTreeMap::from([("billing".to_owned(), spec(billing))]),
        config_maps: BTreeMap::from([(
            "barista".to_owned(),
            BTreeMap::from([(
                "persona.md".to_owned(),
                "You speak to {{ user.name }}.".to_owned(),
            )]),
        )]),
        secrets: keys(&[
            ("openai", &["api-key"]),
            ("wa", &["access-token", "app-secret", "verify-token"]),
            ("web", &["signing-key"]),
            ("chat", &["signing-key"]),
            ("crm", &["bearer"]),
            ("redis", &["url"]),
            ("shop", &["bearer"]),
        ]),
        conduits: BTreeMap::from([(
            "shop-tools".to_owned(),
            conduit(
                "shop-tools",
                json!({
                    "url": "http://shop-tools.cafe.svc:8000/mcp",
                    "headersFrom": [{"name": "Authorization", "secretRef": {"name": "shop", "key": "bearer"}}],
                    "tools": {"deny": ["menu_drop"]},
                }),
            ),
        )]),
        services: BTreeMap::new(),
        defaults: Defaults::default(),
    }
}

fn compiled(value: Value) -> RuntimeConfig {
    compile("barista", &spec(value), &around()).unwrap()
}

/// What is said when the whole Spirit is changed.
fn problems(change: impl FnOnce(&mut Value, &mut Surroundings)) -> Vec<Problem> {
    let (mut value, mut around) = (whole(), around());
    change(&mut value, &mut around);
    compile("barista", &spec(value), &around).unwrap_err()
}

fn said(change: impl FnOnce(&mut Value, &mut Surroundings)) -> Vec<String> {
    problems(change)
        .iter()
        .map(|problem| {
            format!(
                "[{} {}] {problem}",
                problem.condition.as_str(),
                problem.reason.as_str()
            )
        })
        .collect()
}

#[test]
fn a_spirit_becomes_a_runtimes_configuration() {
    let config = compiled(whole());
    insta::assert_json_snapshot!(config);
    assert_eq!(
        RuntimeConfig::from_json(&config.to_json().unwrap()).unwrap(),
        config
    );
}

#[test]
fn everything_that_must_be_mounted_is_listed_and_no_more() {
    let files: Vec<String> = compiled(whole())
        .secret_files()
        .iter()
        .map(|file| format!("{}/{}", file.name, file.key))
        .collect();
    assert_eq!(
        files,
        [
            "chat/signing-key",
            "crm/bearer",
            "openai/api-key",
            "redis/url",
            "shop/bearer",
            "wa/access-token",
            "wa/app-secret",
            "wa/verify-token",
            "web/signing-key",
        ]
    );
}

#[test]
fn a_rite_that_guards_no_action_is_found_where_that_can_be_known() {
    let rites = json!([{"actions": ["place_*", "refund"]}]);
    let said = said(|spirit, _| {
        spirit["rites"] = rites.clone();
        spirit["conduits"] = json!([]);
    });
    assert_eq!(
        said,
        [
            "[Accepted SpecInvalid] Spirit/barista spec.rites[0].actions: no action of this Spirit is named \"refund\": name \
          one of spec.actions, where * stands for anything"
        ]
    );
    let mut with_conduits = whole();
    with_conduits["rites"] = rites;
    let config = compiled(with_conduits.clone());
    let rule = &config.front().unwrap().rites[0];
    assert_eq!(rule.timeout.to_string(), "15m");
    assert!(
        rule.holds_for("place_order") && rule.holds_for("refund") && !rule.holds_for("refunds")
    );
    let revision = |value| compiled(value).front().unwrap().revision();
    assert_ne!(
        revision(with_conduits),
        revision(whole()),
        "what waits changes what a Spirit is"
    );
}

#[test]
fn the_hash_changes_with_what_a_runtime_would_do_and_with_nothing_else() {
    let hash = compiled(whole()).config_hash();
    assert_eq!(compiled(whole()).config_hash(), hash);
    let mut scaled = whole();
    scaled["runtime"] = json!({"replicas": 5, "podLabels": {"team": "cafe"}});
    assert_eq!(compiled(scaled).config_hash(), hash);
    let mut warmer = whole();
    warmer["oracle"]["temperature"] = json!(0.3);
    assert_ne!(compiled(warmer.clone()).config_hash(), hash);
    let revision = |value| compiled(value).front().unwrap().revision();
    assert_ne!(revision(warmer), revision(whole()));
}

#[test]
fn a_routed_spirit_needs_no_secrets_of_its_own_voices() {
    let config = compiled(whole());
    assert!(config.spirits["billing"].voices.is_empty());
    assert!(config.spirits["billing"].pathfinder.is_none());
    assert_eq!(config.front().unwrap().voices.len(), 2);
}

#[test]
fn a_missing_secret_is_named_once_with_all_its_keys() {
    assert_eq!(
        said(|_, around| drop(around.secrets.remove("wa"))),
        [
            "[SecretsResolved SecretNotFound] Spirit/barista spec.voices[0].whatsapp.secretRef: there is no Secret \"wa\" in \
          this namespace; create it with the keys \"access-token\", \"app-secret\", \"verify-token\""
        ]
    );
    assert_eq!(
        said(|_, around| drop(around.secrets.insert("openai".to_owned(), BTreeSet::new()))),
        [
            "[SecretsResolved SecretKeyMissing] Spirit/barista spec.oracle.apiKey.secretRef: Secret \"openai\" has no key \
          \"api-key\"; add it"
        ]
    );
    assert_eq!(
        said(|_, around| drop(around.secrets.remove("shop"))),
        [
            "[SecretsResolved SecretNotFound] Conduit/shop-tools spec.headersFrom[0].secretRef: there is no Secret \"shop\" in \
          this namespace; create it with the key \"bearer\""
        ]
    );
}

#[test]
fn every_reference_that_leads_nowhere_is_told() {
    insta::assert_yaml_snapshot!(said(|_, around| {
        around.config_maps.clear();
        around.conduits.clear();
        around.spirits.clear();
    }));
    assert_eq!(
        said(|_, around| around.config_maps.get_mut("barista").unwrap().clear()),
        [
            "[Accepted ConfigMapKeyMissing] Spirit/barista spec.persona.configMapRef: ConfigMap \"barista\" has no key \
          \"persona.md\"; add it"
        ]
    );
}

#[test]
fn every_address_that_is_not_allowed_is_told_with_its_host() {
    insta::assert_yaml_snapshot!(said(|spirit, around| {
        spirit["oracle"]["baseUrl"] = json!("http://api.example/v1");
        spirit["fallbacks"][0]["baseUrl"] = json!("http://169.254.169.254/v1");
        spirit["voices"][0]["whatsapp"]["graphUrl"] = json!("http://graph.other.svc");
        spirit["voices"][1]["http"]["replyUrl"] = json!("https://10.0.0.1/");
        spirit["scouts"][0]["http"]["url"] = json!("http://127.1/{{ user.id }}");
        spirit["actions"][0]["http"]["url"] = json!("https://user@shop.example/");
        spirit["vigil"]["notify"]["url"] = json!("http://chat.example/hooks");
        around.conduits = BTreeMap::from([(
            "shop-tools".to_owned(),
            conduit("shop-tools", json!({"url": "http://localhost:8000/mcp"})),
        )]);
    }));
}

#[test]
fn what_is_written_in_other_languages_is_checked() {
    insta::assert_yaml_snapshot!(said(|spirit, around| {
        around
            .config_maps
            .get_mut("barista")
            .unwrap()
            .insert("persona.md".to_owned(), "Hi {{ user.nme }}".to_owned());
        spirit["scouts"][0]["when"] = json!("channel == 'wa'");
        spirit["scouts"][0]["http"]["url"] = json!("https://crm.example/{{ user.id");
        spirit["actions"][0]["parameters"] =
            json!({"type": "object", "properties": {"drink": {"type": "strin"}}});
        spirit["actions"][0]["http"]["url"] = json!("https://shop.example/{{ order.id }}");
        spirit["pathfinder"]["routes"][0]["when"] = json!("text.matches('(')");
        spirit["vigil"]["summonWhen"] = json!("channel == 'wa'");
        spirit["fallbacks"][0] = json!({"provider": "scripted", "script": {"rules": [
            {"when": {"text": "("}, "reply": {"text": "{{ text"}},
            {"fail": {"kind": "overloaded", "times": 2}},
        ]}});
    }));
}

#[test]
fn a_script_in_a_config_map_is_read_strictly() {
    let scripted = |script: &str| {
        said(|spirit, around| {
            spirit["oracle"] = json!({"provider": "scripted", "script": {"configMapRef": {"name": "script", "key": "yaml"}}});
            around.config_maps.insert(
                "script".to_owned(),
                BTreeMap::from([("yaml".to_owned(), script.to_owned())]),
            );
        })
    };
    let said = scripted("rules:\n- when: {txt: hi}\n  reply: {text: hello}\n");
    assert!(
        said[0].contains("ScriptInvalid") && said[0].contains("txt"),
        "{said:?}"
    );
}

#[test]
fn state_is_kept_where_the_spirit_says_else_where_the_admin_says_else_nowhere() {
    let stores = |own: bool, default: DefaultStores| {
        let mut value = whole();
        value["stores"].as_object_mut().unwrap().remove("google");
        if !own {
            value.as_object_mut().unwrap().remove("stores");
        }
        let mut around = around();
        around.defaults.stores = default;
        compile("barista", &spec(value), &around).map(|config| config.stores)
    };
    let charts = RedisUrls::Plain("redis://eywa-redis.eywa-system.svc:6379".to_owned());
    let own = RedisUrls::Secret(SecretFile {
        name: "redis".to_owned(),
        key: "url".to_owned(),
    });
    assert_eq!(
        stores(true, DefaultStores::Redis(charts.clone())),
        Ok(StoresConfig::Redis {
            urls: own,
            ca: None,
            mongo: None,
            tasks: None,
            storage: None,
        })
    );
    assert_eq!(
        stores(false, DefaultStores::Redis(charts.clone())),
        Ok(StoresConfig::Redis {
            urls: charts,
            ca: None,
            mongo: None,
            tasks: None,
            storage: None,
        })
    );
    assert_eq!(
        stores(true, DefaultStores::Embedded),
        Err(unreached_services())
    );
    let refused = stores(false, DefaultStores::None).unwrap_err();
    assert_eq!(refused[0].reason.as_str(), "StoresMissing");
}

/// Without a cluster there are no Services to reach.
fn unreached_services() -> Vec<Problem> {
    let mut around = around();
    around.defaults.stores = DefaultStores::Embedded;
    let problems = compile("barista", &spec(whole()), &around).unwrap_err();
    assert_eq!(problems.len(), 3);
    assert!(
        problems
            .iter()
            .all(|problem| problem.reason.as_str() == "AddressNotAllowed"),
        "{problems:?}"
    );
    problems
}

#[test]
fn a_conduit_is_judged_by_itself_too() {
    let around = around();
    let sound = compile_conduit(&around.conduits["shop-tools"], &around).unwrap();
    assert!(sound.offers("menu_list") && !sound.offers("menu_drop"));
    let served = conduit("shop", json!({"server": {"image": "shop:1"}}));
    assert_eq!(
        compile_conduit(&served, &around).unwrap().url,
        "http://shop-conduit.cafe.svc:8000/mcp"
    );
    let refused = compile_conduit(
        &conduit("x", json!({"url": "http://10.1.2.3/mcp"})),
        &around,
    )
    .unwrap_err();
    assert_eq!(refused[0].condition, ConditionType::Accepted);
    assert!(refused[0].message.contains("10.1.2.3"), "{}", refused[0]);
}

#[test]
fn a_spirit_may_use_less_of_a_conduit_than_it_lets_through() {
    let config = compiled(whole());
    let conduit = &config.front().unwrap().conduits[0];
    assert!(conduit.offers("menu_list"));
    assert!(!conduit.offers("menu_drop") && !conduit.offers("refund"));
}

#[test]
fn a_configuration_of_another_version_is_refused_as_such() {
    let error = RuntimeConfig::from_json(r#"{"version": 2, "elsewhere": true}"#).unwrap_err();
    assert!(error.to_string().contains("version 2"), "{error}");
}

/// Where requests must not go, however it is written. Cases of OWASP's cheat sheet on server-side request forgery and of
/// RFC 6890's special-purpose addresses.
const FORBIDDEN: [&str; 30] = [
    "file:///etc/passwd",
    "gopher://api.example/",
    "ftp://api.example/",
    "https://user@api.example/",
    "http://localhost/",
    "http://127.1/",
    "http://2130706433/",
    "http://0177.0.0.1/",
    "http://0x7f000001/",
    "http://0.0.0.0/",
    "http://[::]/",
    "http://[::1]/",
    "http://[::ffff:127.0.0.1]/",
    "http://[::ffff:169.254.169.254]/",
    "http://[64:ff9b::a9fe:a9fe]/",
    "http://[2002:a9fe:a9fe::]/",
    "http://[2001:0:a9fe:a9fe::]/",
    "http://[fe80::1]/",
    "http://[fc00::1]/",
    "http://10.0.0.1/",
    "http://100.64.0.1/",
    "http://169.254.169.254/latest/meta-data/",
    "http://169.254.170.2/",
    "http://100.100.100.200/",
    "https://168.63.129.16/",
    "https://192.0.0.192/",
    "https://[fd00:ec2::23]/",
    "https://[fd20:ce::254]/",
    "http://shop.other.svc/",
    "http://shop.other.svc.cluster.local/",
];

#[test]
fn every_place_that_takes_a_url_refuses_every_address_that_must_not_be_reached() {
    let places = [
        "/oracle/baseUrl",
        "/fallbacks/0/baseUrl",
        "/voices/0/whatsapp/graphUrl",
        "/voices/1/http/replyUrl",
        "/scouts/0/http/url",
        "/actions/0/http/url",
        "/pathfinder/oracle/baseUrl",
        "/vigil/notify/url",
        "/lore/store/qdrant/url",
        "/lore/store/weaviate/url",
        "/lore/store/pinecone/url",
        "/lore/embedder/baseUrl",
        "/lore/sources/0/urls/0",
        "/stores/google/tasks/baseUrl",
        "/stores/google/tasks/keysUrl",
        "/stores/google/storage/baseUrl",
    ];
    let stores = json!({
        "qdrant": {"collection": "menu"},
        "weaviate": {"collection": "menu"},
        "pinecone": {"apiKey": {"secretRef": {"name": "openai", "key": "api-key"}}},
    });
    for url in FORBIDDEN {
        for place in places {
            let problems = problems(|spec, _| {
                let (parent, field) = place.rsplit_once('/').unwrap();
                spec["pathfinder"]["routes"][0]["description"] = json!("Invoices.");
                spec["pathfinder"]["oracle"] = json!({"provider": "openai", "model": "small"});
                if let Some(store) = parent.strip_prefix("/lore/store/") {
                    spec["lore"]["store"] = json!({store: stores[store]});
                }
                let parent = spec.pointer_mut(parent);
                let parent = parent.unwrap_or_else(|| panic!("there is no {place}"));
                match parent {
                    Value::Array(list) => list[field.parse::<usize>().unwrap()] = json!(url),
                    object => object[field] = json!(url),
                }
            });
            let field = format!("{place}/")
                .replace('/', ".")
                .replace(".0.", "[0].")
                .replace(".1.", "[1].");
            let field = field.trim_end_matches('.');
            assert!(
                problems.iter().any(|problem| {
                    matches!(problem.reason.as_str(), "AddressNotAllowed" | "UrlInvalid")
                        && problem.field.ends_with(field)
                }),
                "{url} at {place}: {problems:?}"
            );
        }
        let around = around();
        let refused = compile_conduit(&conduit("x", json!({"url": url})), &around).unwrap_err();
        assert_eq!(refused[0].condition, ConditionType::Accepted, "{url}");
    }
}

#[test]
fn a_whatsapp_voice_takes_pictures_and_types_unless_it_says_otherwise() {
    let channel = |whatsapp: Value| {
        let mut spirit = whole();
        let fields = whatsapp.as_object().cloned().unwrap_or_default();
        spirit["voices"][0]["whatsapp"]
            .as_object_mut()
            .unwrap()
            .extend(fields);
        let config = compiled(spirit);
        serde_json::to_value(&config.spirits["barista"].voices[0]).unwrap()["whatsapp"].clone()
    };
    let plain = channel(json!({}));
    assert_eq!(plain["typing"], true);
    assert_eq!(plain["listLabel"], "Options");
    assert_eq!(plain["media"]["maxBytes"], 16 * 1024 * 1024);
    assert_eq!(plain["media"]["types"][0], "image/*");
    assert!(plain.get("template").is_none());
    let whole = channel(json!({
        "typing": false,
        "media": {"types": ["application/pdf"]},
        "template": {"name": "reply_waiting", "language": "pt_BR", "carriesText": true},
        "listLabel": "Escolha",
    }));
    assert_eq!(
        (&whole["typing"], &whole["listLabel"]),
        (&json!(false), &json!("Escolha"))
    );
    assert_eq!(
        whole["template"],
        json!({"name": "reply_waiting", "language": "pt_BR", "carriesText": true})
    );
    assert_eq!(
        whole["media"],
        json!({"maxBytes": 16 * 1024 * 1024, "types": ["application/pdf"]})
    );
}
