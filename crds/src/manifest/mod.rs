//! Reading manifests from files, as strictly as the API server: for `eywa up` and `eywa validate`.
//!
//! Every document is checked against the schema its CustomResourceDefinition has: types, unknown fields, enumerations,
//! patterns, what is needed, defaults, and the CEL rules. What is wrong comes with its file and line.

mod node;
mod structural;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt, fs, io,
    path::{Path, PathBuf},
    sync::OnceLock,
};

use k8s_openapi::{
    api::core::v1::{ConfigMap, Secret},
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use kube::core::cel::{CompiledSchema, Validator, compile_schema};
use schemars::{JsonSchema, generate::SchemaSettings};
use secrecy::SecretString;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use self::node::Node;
use crate::{
    GROUP, VERSION,
    compile::{Defaults, Problem, Surroundings},
    conduit::Conduit,
    definitions::definitions,
    rite::Rite,
    spirit::Spirit,
    vigil::Vigil,
};

/// The largest file that is read, in bytes: what the API server takes in one request.
const LARGEST_FILE: u64 = 3 * 1024 * 1024;

/// The objects of a folder, and what is wrong with them.
#[derive(Debug, Default)]
pub struct Manifests {
    /// The Spirits, by name.
    pub spirits: BTreeMap<String, Spirit>,
    /// The Conduits, by name.
    pub conduits: BTreeMap<String, Conduit>,
    /// The Vigils, by name.
    pub vigils: BTreeMap<String, Vigil>,
    /// The Rites, by name.
    pub rites: BTreeMap<String, Rite>,
    /// The Secrets, by name, with their values by key.
    pub secrets: BTreeMap<String, BTreeMap<String, SecretString>>,
    /// The ConfigMaps, by name, with their data.
    pub config_maps: BTreeMap<String, BTreeMap<String, String>>,
    /// What is wrong, in the order of files and lines. Unsound objects are not in the maps above.
    pub problems: Vec<ManifestProblem>,
    /// Objects of other kinds, which are not Eywa's to run: `Kind/name`.
    pub ignored: Vec<String>,
    places: BTreeMap<String, Place>,
}

/// Where an object is written.
struct Place {
    file: PathBuf,
    node: Node,
}

impl fmt::Debug for Place {
    /// Leaves the document out: it may be a Secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file.display(), self.node.line)
    }
}

/// One thing that is wrong, with its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManifestProblem {
    /// The file.
    pub file: PathBuf,
    /// The line, from 1; 0 where there is none.
    pub line: u64,
    /// The field, such as `spec.oracle.model`; empty for the whole document.
    pub field: String,
    /// What is wrong, and what to do.
    pub message: String,
}

impl fmt::Display for ManifestProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if self.line > 0 {
            write!(f, ":{}", self.line)?;
        }
        if !self.field.is_empty() {
            write!(f, ": {}", self.field)?;
        }
        write!(f, ": {}", self.message)
    }
}

impl Manifests {
    /// Reads every `.yaml`, `.yml` and `.json` file of a folder, not of those below it; or one file.
    ///
    /// # Errors
    /// When the folder or a file cannot be read. What is wrong inside of files is in [`problems`](Self::problems).
    pub fn read(path: &Path) -> io::Result<Self> {
        let mut files = Vec::new();
        if path.is_dir() {
            for entry in fs::read_dir(path)? {
                let file = entry?.path();
                let wanted = file
                    .extension()
                    .is_some_and(|extension| ["yaml", "yml", "json"].iter().any(|wanted| extension == *wanted));
                if wanted && file.is_file() {
                    files.push(file);
                }
            }
            files.sort();
        } else {
            files.push(path.to_owned());
        }
        let mut manifests = Self::default();
        for file in files {
            let size = fs::metadata(&file)?.len();
            if size > LARGEST_FILE {
                manifests.problem(&file, 0, "", format!("the file has {size} bytes, and may have {LARGEST_FILE}"));
                continue;
            }
            let text = fs::read_to_string(&file)?;
            manifests.add(&file, &text);
        }
        Ok(manifests)
    }

    /// Reads the documents of one text. `file` is what problems name.
    pub fn add(&mut self, file: &Path, text: &str) {
        match serde_saphyr::from_multiple::<Node>(text) {
            Ok(documents) => {
                for document in documents {
                    self.add_document(file, document);
                }
            }
            Err(error) => {
                let line = error.location().map_or(0, |location| location.line());
                self.problem(file, line, "", format!("the YAML cannot be read: {}", error.without_snippet()));
            }
        }
    }

    /// Gives a problem that compiling found the place where its field is written.
    #[must_use]
    pub fn locate(&self, problem: &Problem) -> ManifestProblem {
        let place = self.places.get(&problem.object);
        ManifestProblem {
            file: place.map(|place| place.file.clone()).unwrap_or_default(),
            line: place.map_or(0, |place| place.node.line_of(&problem.field)),
            field: problem.field.clone(),
            message: format!("{} ({})", problem.message, problem.reason.as_str()),
        }
    }

    /// What Spirits of these manifests may refer to, for [`compile`](crate::compile::compile).
    #[must_use]
    pub fn surroundings(&self, namespace: &str, defaults: Defaults) -> Surroundings {
        Surroundings {
            namespace: namespace.to_owned(),
            spirits: self.spirits.iter().map(|(name, spirit)| (name.clone(), spirit.spec.clone())).collect(),
            config_maps: self.config_maps.clone(),
            secrets: self
                .secrets
                .iter()
                .map(|(name, values)| (name.clone(), values.keys().cloned().collect::<BTreeSet<_>>()))
                .collect(),
            conduits: self.conduits.clone(),
            services: BTreeMap::new(),
            defaults,
        }
    }

    fn problem(&mut self, file: &Path, line: u64, field: &str, message: impl Into<String>) {
        self.problems.push(ManifestProblem {
            file: file.to_owned(),
            line,
            field: field.to_owned(),
            message: message.into(),
        });
    }

    fn add_document(&mut self, file: &Path, document: Node) {
        let (Some(api_version), Some(kind)) = (document.text("apiVersion"), document.text("kind")) else {
            return self.problem(file, document.line, "", "a manifest needs apiVersion and kind");
        };
        let (api_version, kind) = (api_version.to_owned(), kind.to_owned());
        let name = document
            .field("metadata")
            .and_then(|(_, metadata)| metadata.text("name"))
            .unwrap_or_default()
            .to_owned();
        let id = format!("{kind}/{name}");
        let schemas = match schemas() {
            Ok(schemas) => schemas,
            Err(error) => return self.problem(file, 0, "", error.clone()),
        };
        let Some(schema) = schemas.get(&(api_version.clone(), kind.clone())) else {
            return self.add_unknown(file, &document, &api_version, &kind, id);
        };
        let mut faults = Vec::new();
        let value = structural::check(&document, &schema.schema, "", &mut faults);
        if faults.is_empty() {
            faults.extend(schema.broken_rules(&document, &value));
        }
        if name.is_empty() && faults.is_empty() {
            faults.push(structural::Fault {
                line: document.line_of("metadata"),
                field: "metadata.name".to_owned(),
                message: "this field is needed".to_owned(),
            });
        }
        if let Some(earlier) = self.places.get(&id) {
            let message = format!("{id} is in {}:{} already", earlier.file.display(), earlier.node.line);
            faults.push(structural::Fault {
                line: document.line,
                field: String::new(),
                message,
            });
        }
        let sound = faults.is_empty();
        faults.sort_by_key(|fault| fault.line);
        for fault in faults {
            self.problem(file, fault.line, &fault.field, fault.message);
        }
        if sound {
            if let Err(error) = self.keep(&kind, &name, value) {
                self.problem(file, document.line, "", error);
            }
            let place = Place {
                file: file.to_owned(),
                node: document,
            };
            self.places.insert(id, place);
        }
    }

    fn add_unknown(&mut self, file: &Path, document: &Node, api_version: &str, kind: &str, id: String) {
        let group = api_version.split('/').next().unwrap_or_default();
        if group != GROUP {
            self.ignored.push(id);
            return;
        }
        let wanted = format!("{GROUP}/{VERSION}");
        let kinds = ["Conduit", "Rite", "Spirit", "Vigil"].map(str::to_owned);
        if api_version != wanted {
            let line = document.line_of("apiVersion");
            self.problem(file, line, "apiVersion", format!("{api_version:?} is not served; use {wanted}"));
        } else {
            let hint = structural::nearest(kind, kinds.iter())
                .map(|kind| format!("; did you mean {kind}?"))
                .unwrap_or_else(|| format!("; there are {}", kinds.join(", ")));
            self.problem(file, document.line_of("kind"), "kind", format!("there is no kind {kind:?}{hint}"));
        }
    }

    fn keep(&mut self, kind: &str, name: &str, value: Value) -> Result<(), String> {
        let name = name.to_owned();
        match kind {
            "Spirit" => drop(self.spirits.insert(name, typed(value)?)),
            "Conduit" => drop(self.conduits.insert(name, typed(value)?)),
            "Vigil" => drop(self.vigils.insert(name, typed(value)?)),
            "Rite" => drop(self.rites.insert(name, typed(value)?)),
            "Secret" => drop(self.secrets.insert(name, secret_values(typed(value)?)?)),
            _ => drop(self.config_maps.insert(name, typed::<ConfigMap>(value)?.data.unwrap_or_default())),
        }
        Ok(())
    }
}

/// The message of a Secret that is malformed must not show what is in it, so serde's own is left out there.
fn typed<T: DeserializeOwned>(value: Value) -> Result<T, String> {
    let secret = value["kind"] == "Secret";
    serde_json::from_value(value).map_err(|error| {
        if secret {
            "the Secret cannot be read: data must be base64, and stringData text".to_owned()
        } else {
            error.to_string()
        }
    })
}

/// The API server's way: `stringData` wins over `data`.
fn secret_values(secret: Secret) -> Result<BTreeMap<String, SecretString>, String> {
    let mut values = BTreeMap::new();
    for (key, bytes) in secret.data.unwrap_or_default() {
        let text = String::from_utf8(bytes.0).map_err(|_| format!("the key {key:?} is not text"))?;
        values.insert(key, SecretString::from(text));
    }
    for (key, text) in secret.string_data.unwrap_or_default() {
        values.insert(key, SecretString::from(text));
    }
    Ok(values)
}

/// What one kind's objects are checked against.
struct KindSchema {
    schema: Value,
    rules: CompiledSchema,
}

impl KindSchema {
    fn broken_rules(&self, document: &Node, value: &Value) -> Vec<structural::Fault> {
        let Err(broken) = Validator::new().validate_compiled(&self.rules, value, None) else {
            return Vec::new();
        };
        broken
            .into_vec()
            .into_iter()
            .map(|broken| structural::Fault {
                line: document.line_of(&broken.field_path),
                field: broken.field_path,
                message: broken.message,
            })
            .collect()
    }
}

type Schemas = BTreeMap<(String, String), KindSchema>;

/// The schemas of every kind that is read, by apiVersion and kind.
fn schemas() -> Result<&'static Schemas, &'static String> {
    static SCHEMAS: OnceLock<Result<Schemas, String>> = OnceLock::new();
    SCHEMAS.get_or_init(read_schemas).as_ref()
}

fn read_schemas() -> Result<Schemas, String> {
    let mut schemas = BTreeMap::new();
    let metadata = kubernetes_schema::<ObjectMeta>();
    for definition in definitions().map_err(|error| error.to_string())? {
        let mut schema = definition.schema().clone();
        let properties = &mut schema["properties"];
        properties["apiVersion"] = json!({"type": "string"});
        properties["kind"] = json!({"type": "string"});
        properties["metadata"] = metadata.clone();
        schema["required"] = json!(["metadata", "spec"]);
        insert(&mut schemas, format!("{GROUP}/{VERSION}"), definition.kind, schema);
    }
    for (kind, schema) in [
        ("Secret", kubernetes_schema::<Secret>()),
        ("ConfigMap", kubernetes_schema::<ConfigMap>()),
    ] {
        insert(&mut schemas, "v1".to_owned(), kind, schema);
    }
    Ok(schemas)
}

fn insert(schemas: &mut Schemas, api_version: String, kind: &str, schema: Value) {
    let rules = compile_schema(&schema);
    schemas.insert((api_version, kind.to_owned()), KindSchema { schema, rules });
}

/// The schema of one of Kubernetes' own types, with everything it refers to inside of it.
fn kubernetes_schema<T: JsonSchema>() -> Value {
    let settings = SchemaSettings::openapi3().with(|settings| {
        settings.inline_subschemas = true;
        settings.meta_schema = None;
    });
    let mut schema = settings.into_generator().into_root_schema_for::<T>().to_value();
    crate::definitions::tidy(&mut schema);
    schema
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPIRIT: &str = "\
apiVersion: eywa.dev/v1alpha1
kind: Spirit
metadata:
  name: barista
spec:
  persona:
    text: You serve coffee.
  oracle:
    provider: openai
    model: gpt-5-mini
    apiKey: {secretRef: {name: openai, key: api-key}}
  voices:
  - name: web
    http:
      secretRef: {name: web, key: signing-key}
";

    fn read(text: &str) -> Manifests {
        let mut manifests = Manifests::default();
        manifests.add(Path::new("spirit.yaml"), text);
        manifests
    }

    fn problems(text: &str) -> Vec<String> {
        read(text).problems.iter().map(ToString::to_string).collect()
    }

    /// What is said when one piece of the sound Spirit is replaced.
    fn broken(from: &str, to: &str) -> String {
        assert!(SPIRIT.contains(from), "{from}");
        problems(&SPIRIT.replace(from, to)).join("\n")
    }

    #[test]
    fn a_sound_manifest_is_read_with_its_defaults() {
        let manifests = read(SPIRIT);
        assert!(manifests.problems.is_empty(), "{:?}", manifests.problems);
        let spec = &manifests.spirits["barista"].spec;
        assert_eq!(spec.limits.rounds, 8);
        assert_eq!(spec.runtime.replicas, 2);
        assert_eq!(spec.oracle.timeout.to_string(), "1m");
    }

    #[test]
    fn what_is_wrong_comes_with_its_line_and_the_fix() {
        for (from, to, said) in [
            ("model:", "modle:", "spirit.yaml:10: spec.oracle.modle: unknown field; did you mean model?"),
            ("    model:", "    temperatur: 1\n    model:", "spirit.yaml:10: spec.oracle.temperatur: unknown field; did you mean temperature?"),
            ("openai\n", "opneai\n", "spirit.yaml:9: spec.oracle.provider: \"opneai\" is not one of \"openai\", \"scripted\""),
            ("gpt-5-mini", "5", "spirit.yaml:10: spec.oracle.model: must be of type string, and is integer; put it in quotes"),
            ("gpt-5-mini", "gpt-5-mini\n    temperature: 3", "spirit.yaml:11: spec.oracle.temperature: 3 is more than 2"),
            ("gpt-5-mini", "gpt-5-mini\n    timeout: 30", "spirit.yaml:11: spec.oracle.timeout: must be of type string, and is integer; put it in quotes"),
            ("gpt-5-mini", "gpt-5-mini\n    timeout: 30d", "spirit.yaml:11: spec.oracle.timeout: \"30d\" is not a duration: write a number and a unit, such as 800ms, 30s, 15m or 1h30m"),
            ("    text: You serve coffee.\n", "    {}\n", "spirit.yaml:6: spec.persona: exactly one of text and configMapRef is needed"),
            ("    model: gpt-5-mini\n", "", "spirit.yaml:8: spec.oracle: model is needed for provider openai"),
            ("  - name: web\n", "  - name: Web\n", "spirit.yaml:13: spec.voices[0].name: \"Web\" must match ^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"),
            ("  - name: web\n", "  - name: web\n    whatsapp: {phoneNumberId: \"1\", secretRef: {name: wa}}\n", "spirit.yaml:13: spec.voices[0]: exactly one of whatsapp and http is needed"),
            ("  name: barista", "  name: Barista.1", "spirit.yaml:1: a Spirit's name is a DNS label of at most 50 characters: its children are named after it"),
            ("  name: barista", "  nam: barista", "spirit.yaml:4: metadata.nam: unknown field; did you mean name?"),
            ("kind: Spirit", "kind: Sprit", "spirit.yaml:2: kind: there is no kind \"Sprit\"; did you mean Spirit?"),
            ("v1alpha1", "v1", "spirit.yaml:1: apiVersion: \"eywa.dev/v1\" is not served; use eywa.dev/v1alpha1"),
            ("  persona:\n    text: You serve coffee.\n", "", "spirit.yaml:6: spec.persona: this field is needed"),
        ] {
            assert_eq!(broken(from, to), said, "{to}");
        }
    }

    #[test]
    fn two_voices_of_one_name_are_refused() {
        let again = "  - name: web\n    http:\n      secretRef: {name: web, key: signing-key}\n";
        assert_eq!(
            problems(&format!("{SPIRIT}{again}")),
            ["spirit.yaml:16: spec.voices[1]: \"web\" is there twice"]
        );
    }

    #[test]
    fn a_rule_over_settings_is_checked_with_defaults_filled_in() {
        let with_bond = |bond: &str| problems(&format!("{SPIRIT}  bond: {bond}\n"));
        assert!(with_bond("{whenBusy: merge, merge: {quiet: 1s}}").is_empty());
        assert_eq!(with_bond("{merge: {quiet: 1s}}"), ["spirit.yaml:16: spec.bond: merge is only for whenBusy: merge"]);
        assert_eq!(
            with_bond("{whenBusy: merge, merge: {quiet: 21s}}"),
            ["spirit.yaml:16: spec.bond.merge: quiet must not be longer than cap"]
        );
    }

    #[test]
    fn yaml_that_cannot_be_read_says_where() {
        let said = problems("apiVersion: v1\nkind: [\n");
        assert_eq!(said.len(), 1);
        assert!(said[0].starts_with("spirit.yaml:") && said[0].contains("cannot be read"), "{said:?}");
        let said = problems("apiVersion: v1\nkind: Secret\nkind: ConfigMap\n");
        assert!(said[0].starts_with("spirit.yaml:3"), "{said:?}");
    }

    #[test]
    fn documents_are_told_apart_and_others_kinds_are_left_alone() {
        let text = format!("{SPIRIT}---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: shop}}\n---\n{SPIRIT}");
        let manifests = read(&text);
        assert_eq!(manifests.ignored, ["Deployment/shop"]);
        assert_eq!(manifests.problems.len(), 1);
        assert!(manifests.problems[0].message.contains("Spirit/barista is in spirit.yaml:1 already"), "{:?}", manifests.problems);
    }

    #[test]
    fn secrets_are_read_and_never_shown() {
        let text = "apiVersion: v1\nkind: Secret\nmetadata: {name: web}\nstringData: {a: hunter2}\ndata: {b: aHVudGVyMw==}\n";
        let manifests = read(text);
        use secrecy::ExposeSecret;
        assert_eq!(manifests.secrets["web"]["a"].expose_secret(), "hunter2");
        assert_eq!(manifests.secrets["web"]["b"].expose_secret(), "hunter3");
        let shown = format!("{manifests:?}");
        assert!(!shown.contains("hunter") && !shown.contains("aHVudGVyMw"), "{shown}");
        let malformed = problems(&text.replace("aHVudGVyMw==", "hunter2!"));
        assert!(!malformed.is_empty() && !malformed.concat().contains("hunter"), "{malformed:?}");
    }

    #[test]
    fn a_compile_problem_is_located() {
        let mut manifests = read(SPIRIT);
        manifests.add(Path::new("web.yaml"), "apiVersion: v1\nkind: Secret\nmetadata: {name: web}\nstringData: {signing-key: x}\n");
        let defaults = Defaults {
            stores: crate::compile::DefaultStores::Embedded,
            ..Defaults::default()
        };
        let around = manifests.surroundings("default", defaults);
        let found = crate::compile::compile_spirit(&manifests.spirits["barista"], &around).unwrap_err();
        let said: Vec<String> = found.iter().map(|problem| manifests.locate(problem).to_string()).collect();
        assert_eq!(
            said,
            ["spirit.yaml:11: spec.oracle.apiKey.secretRef: there is no Secret \"openai\" in this namespace; create it with the key \"api-key\" (SecretNotFound)"]
        );
    }

    #[test]
    fn a_vigils_release_may_be_a_bare_zero_and_no_other_number() {
        let vigil = |release: &str| {
            read(&format!(
                "apiVersion: eywa.dev/v1alpha1\nkind: Vigil\nmetadata: {{name: ana}}\nspec:\n  spiritRef: {{name: barista}}\n  session: wa/5511999990000\n  releaseAfter: {release}\n"
            ))
        };
        for (release, seconds) in [("0", 0), ("\"0\"", 0), ("30m", 1800)] {
            let manifests = vigil(release);
            assert!(manifests.problems.is_empty(), "{release}: {:?}", manifests.problems);
            assert_eq!(manifests.vigils["ana"].spec.release_after, Some(crate::Duration::from_secs(seconds)));
        }
        assert_eq!(
            vigil("30").problems[0].to_string(),
            "spirit.yaml:7: spec.releaseAfter: 30 is more than 0; a duration needs a unit, such as 30m"
        );
    }

    #[test]
    fn every_schema_keyword_pattern_and_rule_is_one_that_is_understood() {
        fn walk(schema: &Value, path: &str) {
            for (keyword, value) in schema.as_object().unwrap_or_else(|| panic!("{path} is no schema")) {
                assert!(structural::KEYWORDS.contains(&keyword.as_str()), "{path}: {keyword}");
                match keyword.as_str() {
                    "properties" => value.as_object().unwrap().iter().for_each(|(name, field)| walk(field, &format!("{path}.{name}"))),
                    "items" => walk(value, &format!("{path}[]")),
                    "additionalProperties" if value.is_object() => walk(value, &format!("{path}.*")),
                    "pattern" => drop(regex::Regex::new(value.as_str().unwrap()).unwrap()),
                    _ => {}
                }
            }
        }
        for ((_, kind), schema) in schemas().unwrap() {
            walk(&schema.schema, kind);
            assert!(!schema.rules.has_errors(), "{kind}: {:?}", schema.rules.compilation_errors());
        }
    }
}
