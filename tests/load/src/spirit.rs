//! The Spirit that is measured.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use anyhow::{Result, anyhow};
use eywa_crds::{
    compile::{DefaultStores, Defaults, Surroundings, compile},
    runtime_config::RedisUrls,
    spirit::SpiritSpec,
};
use eywa_guard::Policy;

/// The app secret that webhooks are signed with.
pub(crate) const APP_SECRET: &str = "not-a-real-app-secret";

/// Writes the runtime's configuration and secrets; where they are.
pub(crate) fn write(dir: &Path, redis: &str, standins: &str) -> Result<(PathBuf, PathBuf)> {
    let yaml = format!(
        "
persona: {{text: 'You serve coffee. You speak to {{{{ user.name }}}}.'}}
oracle: {{provider: openai, model: stand-in, baseUrl: '{standins}/v1', apiKey: {{secretRef: {{name: wa, key: access-token}}}}}}
voices:
- name: wa
  whatsapp: {{phoneNumberId: '1055', secretRef: {{name: wa}}, graphUrl: '{standins}/graph'}}
"
    );
    let spec: SpiritSpec = serde_saphyr::from_str(&yaml)?;
    let secrets = [
        ("access-token", "not-a-real-token"),
        ("app-secret", APP_SECRET),
        ("verify-token", "not-a-real-word"),
    ];
    let keys: BTreeSet<String> = secrets.iter().map(|(key, _)| (*key).to_owned()).collect();
    let surroundings = Surroundings {
        namespace: "bench".to_owned(),
        secrets: BTreeMap::from([("wa".to_owned(), keys)]),
        defaults: Defaults {
            network: Policy {
                loopback: true,
                ..Policy::default()
            },
            stores: DefaultStores::Redis(RedisUrls::Plain(redis.to_owned())),
        },
        ..Surroundings::default()
    };
    let config = compile("bench", &spec, &surroundings).map_err(|problems| {
        anyhow!(
            problems
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join("; ")
        )
    })?;
    let (file, folder) = (dir.join("config.json"), dir.join("secrets"));
    std::fs::write(&file, config.to_json()?)?;
    std::fs::create_dir_all(folder.join("wa"))?;
    for (key, value) in secrets {
        std::fs::write(folder.join("wa").join(key), value)?;
    }
    Ok((file, folder))
}
