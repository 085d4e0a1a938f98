use std::path::Path;

use eywa_crds::{
    compile::{DefaultStores, Defaults, compile_spirit},
    manifest::Manifests,
    runtime_config::RedisUrls,
};
use eywa_guard::Policy;

use super::*;
use crate::secrets::HeldSecrets;

const SPIRIT: &str = r#"
apiVersion: eywa.dev/v1alpha1
kind: Spirit
metadata: {name: barista}
spec:
  persona: {text: You serve coffee.}
  oracle: {provider: scripted, script: {rules: [{reply: {text: hello}}]}}
  voices: [{name: web, http: {secretRef: {name: web, key: signing-key}}}]
---
apiVersion: v1
kind: Secret
metadata: {name: web}
stringData: {signing-key: not-a-real-signing-key}
"#;

fn config(text: &str) -> RuntimeConfig {
    let mut manifests = Manifests::default();
    manifests.add(Path::new("barista.yaml"), text);
    assert!(manifests.problems.is_empty(), "{:?}", manifests.problems);
    let stores = DefaultStores::Redis(RedisUrls::Plain("redis://127.0.0.1:1/0".to_owned()));
    let defaults = Defaults {
        network: Policy::default(),
        stores,
    };
    compile_spirit(
        &manifests.spirits["barista"],
        &manifests.surroundings("default", defaults),
    )
    .unwrap()
}

fn stores() -> Stores {
    Stores {
        bond: Arc::new(eywa_adapters::bond::InMemoryBond::new()),
        inbox: Arc::new(eywa_adapters::inbox::InMemoryInbox::new()),
        echoes: Arc::new(eywa_adapters::echoes::InMemoryEchoes::new()),
        chronicle: Arc::new(eywa_adapters::chronicle::InMemoryChronicle::new()),
        memory: Arc::new(eywa_adapters::memory::InMemoryMemory::new()),
        rites: Arc::new(eywa_adapters::rite::InMemoryRites::new()),
        attachments: Arc::new(eywa_adapters::attachments::InMemoryAttachments::new()),
        contacts: Arc::new(eywa_adapters::contacts::InMemoryContacts::new()),
        imprint: Arc::new(eywa_adapters::imprint::InMemoryImprint::new()),
        vigil: Arc::new(eywa_adapters::vigil::InMemoryVigil::new()),
    }
}

fn refusal(text: &str) -> String {
    let shared = Shared::new(Policy::default(), Metrics::new().unwrap());
    match wire(&config(text), &HeldSecrets::default(), stores(), &shared) {
        Ok(_) => panic!("it was wired"),
        Err(error) => error.to_string(),
    }
}

#[cfg(feature = "voice-http")]
#[test]
fn a_missing_secret_is_named_with_its_key() {
    let error = refusal(SPIRIT);
    assert!(
        error.contains("signing-key") && error.contains("web"),
        "{error}"
    );
}

#[cfg(not(feature = "voice-http"))]
#[test]
fn an_adapter_that_is_not_built_in_is_named_with_its_feature() {
    let error = refusal(SPIRIT);
    assert!(
        error.contains("the voice web (http)") && error.contains("voice-http"),
        "{error}"
    );
}

#[cfg(feature = "oracle-scripted")]
#[test]
fn a_spirit_without_voices_is_not_served() {
    let mute = SPIRIT.replace(
        "voices: [{name: web, http: {secretRef: {name: web, key: signing-key}}}]",
        "voices: []",
    );
    let error = refusal(&mute);
    assert!(
        error.contains("barista") && error.contains("Voice"),
        "{error}"
    );
}

#[cfg(feature = "stores-redis")]
#[test]
fn a_pod_keeps_its_state_in_redis_and_nowhere_else() {
    let mut config = config(SPIRIT);
    // No connection is opened, so nobody needs to answer there.
    assert!(Stores::redis(&config, &HeldSecrets::default()).is_ok());
    config.stores = eywa_crds::runtime_config::StoresConfig::Embedded;
    let refused = Stores::redis(&config, &HeldSecrets::default())
        .err()
        .unwrap()
        .to_string();
    assert!(refused.contains("eywa up"), "{refused}");
}

#[cfg(feature = "voice-http")]
fn wired_with_oracle(oracle: &str) -> Result<Wired, WireError> {
    let text = SPIRIT.replace(
        "{provider: scripted, script: {rules: [{reply: {text: hello}}]}}",
        oracle,
    );
    let keys = [("web", "signing-key"), ("model", "key")].map(|(name, key)| {
        let file = eywa_crds::runtime_config::SecretFile {
            name: name.to_owned(),
            key: key.to_owned(),
        };
        (file, "not-a-real-key-at-all".into())
    });
    let text = format!(
        "{text}\n---\napiVersion: v1\nkind: Secret\nmetadata: {{name: model}}\nstringData: {{key: not-a-real-key}}\n"
    );
    let shared = Shared::new(Policy::default(), Metrics::new().unwrap());
    wire(
        &config(&text),
        &HeldSecrets(keys.into_iter().collect()),
        stores(),
        &shared,
    )
}

#[cfg(feature = "voice-http")]
#[test]
fn an_oracle_is_wired_where_its_feature_is_and_named_with_it_where_not() {
    let key = "apiKey: {secretRef: {name: model, key: key}}";
    for (provider, built_in) in [
        ("anthropic", cfg!(feature = "oracle-anthropic")),
        ("openai", cfg!(feature = "oracle-openai")),
    ] {
        let oracle = format!("{{provider: {provider}, model: m, effort: low, {key}}}");
        let error = wired_with_oracle(&oracle)
            .err()
            .map(|error| error.to_string());
        match error {
            None => assert!(built_in, "{provider}"),
            Some(error) => {
                assert!(!built_in, "{error}");
                let feature = format!("oracle-{provider}");
                assert!(
                    error.contains("barista") && error.contains(&feature),
                    "{error}"
                );
            }
        }
    }
}

#[cfg(all(
    feature = "voice-http",
    feature = "oracle-bedrock",
    feature = "oracle-gemini",
    feature = "oracle-vertexai"
))]
#[test]
fn oracles_of_clouds_are_wired_and_unsound_credentials_are_named_and_not_quoted() {
    let key = "{secretRef: {name: model, key: key}}";
    for oracle in [
        format!("{{provider: gemini, model: gemini-2.5-flash, effort: low, apiKey: {key}}}"),
        "{provider: vertexai, model: claude-sonnet-4-5, project: cafe-1, location: eu, attachments: none}".to_owned(),
        "{provider: bedrock, model: amazon.nova-pro-v1:0, region: eu-west-1, promptCaching: false}".to_owned(),
        format!("{{provider: bedrock, model: amazon.nova-pro-v1:0, region: eu-west-1, apiKey: {key}}}"),
    ] {
        assert!(wired_with_oracle(&oracle).is_ok(), "{oracle}");
    }
    for oracle in [
        format!(
            "{{provider: vertexai, model: gemini-2.5-flash, project: cafe-1, location: eu, credentials: {key}}}"
        ),
        format!(
            "{{provider: bedrock, model: amazon.nova-pro-v1:0, region: eu-west-1, credentials: {key}}}"
        ),
    ] {
        let error = wired_with_oracle(&oracle).err().unwrap().to_string();
        assert!(error.contains("oracle.credentials"), "{error}");
        assert!(!error.contains("not-a-real-key-at-all"), "{error}");
    }
}

#[cfg(feature = "voice-http")]
#[test]
fn an_imprint_is_wired_where_it_is_enabled_and_its_feature_is() {
    let scripted = "{provider: scripted, script: {rules: [{reply: {text: hello}}]}}";
    assert!(
        cfg!(not(feature = "oracle-scripted")) || {
            let wired = wired_with_oracle(scripted).ok().unwrap();
            wired.serving.weave.remembering().is_none()
        }
    );
    let key = "apiKey: {secretRef: {name: model, key: key}}";
    for own in [
        "".to_owned(),
        format!(", oracle: {{provider: openai, model: m, {key}}}"),
    ] {
        let text =
            format!("{scripted}\n  imprint: {{enabled: true, maxFacts: 7, after: 20s{own}}}");
        let built_in = cfg!(all(feature = "oracle-scripted", feature = "scout-imprint"))
            && (own.is_empty() || cfg!(feature = "oracle-openai"));
        match wired_with_oracle(&text) {
            Ok(wired) => {
                assert!(built_in);
                let remembering = wired.serving.weave.remembering().unwrap();
                assert_eq!(remembering.keeping.most, 7);
                assert_eq!(remembering.after, Duration::from_secs(20));
                assert_eq!(remembering.oracles.len(), usize::from(!own.is_empty()));
            }
            Err(error) => {
                let error = error.to_string();
                assert!(!built_in && error.contains("barista"), "{error}");
            }
        }
    }
}

#[cfg(all(feature = "voice-http", feature = "oracle-scripted"))]
#[tokio::test]
async fn what_was_learnt_before_is_kept_as_long_as_an_imprint_that_is_off_says() {
    use eywa_weave::ports::imprint::{Fact, Keeping};

    const YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);
    let session = "web/ana".parse().unwrap();
    let known = async |spirit: &str| {
        let stores = stores();
        let facts = [Fact {
            text: "Likes tea".to_owned(),
            at: jiff::Timestamp::now() - 2 * YEAR,
        }];
        let keeping = Keeping {
            most: 1,
            max_age: 3 * YEAR,
        };
        let learnt = stores.imprint.amend(&session, &[], &facts, 0, keeping);
        learnt.await.unwrap();
        let keys = eywa_crds::runtime_config::SecretFile {
            name: "web".to_owned(),
            key: "signing-key".to_owned(),
        };
        let secrets = HeldSecrets([(keys, "not-a-real-key-at-all".into())].into());
        let shared = Shared::new(Policy::default(), Metrics::new().unwrap());
        let wired = wire(&config(spirit), &secrets, stores, &shared).ok();
        let weave = &wired.unwrap().serving.weave;
        assert!(weave.remembering().is_none());
        weave.facts(&session).await.unwrap().len()
    };
    assert_eq!(known(SPIRIT).await, 0, "a year, by default");
    let off = SPIRIT.replacen("  voices:", "  imprint: {maxAge: 26280h}\n  voices:", 1);
    assert_eq!(known(&off).await, 1);
}

#[cfg(feature = "voice-http")]
#[test]
fn tools_and_a_pathfinder_are_wired_where_their_features_are_and_named_with_them_where_not() {
    let scripted = "{provider: scripted, script: {rules: [{reply: {text: hello}}]}}";
    for (fields, features) in [
        (
            "scouts: [{name: hours, text: 'Today is {{ now.weekday }}.'}]",
            vec![("scout-fixed", cfg!(feature = "scout-fixed"))],
        ),
        (
            "scouts: [{name: crm, http: {url: https://crm.example/, headers: [{name: x, value: '{{ text }}'}], \
             pick: {a: /a}, cache: 5m}}]",
            vec![("scout-http", cfg!(feature = "scout-http"))],
        ),
        (
            "actions: [{name: order, description: Orders., http: {url: https://shop.example/, query: {a: '{{ voice }}'}, \
             body: {b: '{{ arguments.b }}'}, idempotencyKey: X-Id, retries: 2, maxResponse: 4096}}]",
            vec![("action-http", cfg!(feature = "action-http"))],
        ),
        (
            "pathfinder: {routes: [{spirit: barista, when: voice == 'web', description: Coffee.}], \
             oracle: {provider: scripted, script: {rules: [{reply: {text: barista}}]}}, reconsider: true}",
            vec![("pathfinder-oracle", cfg!(feature = "pathfinder-oracle"))],
        ),
    ] {
        let missing = features
            .into_iter()
            .chain([("oracle-scripted", cfg!(feature = "oracle-scripted"))])
            .find(|(_, built_in)| !built_in);
        let wired = wired_with_oracle(&format!("{scripted}\n  {fields}"));
        let error = wired.err().map(|error| error.to_string());
        match (missing, error) {
            (None, None) => {}
            (Some((feature, _)), Some(error)) => {
                assert!(
                    error.contains(feature) || error.contains("oracle-scripted"),
                    "{error}"
                );
            }
            (missing, error) => panic!("{fields}: {missing:?}, {error:?}"),
        }
    }
}
