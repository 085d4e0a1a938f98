//! Reading manifests from files, as strictly as the API server: for `eywa up` and `eywa validate`.
//!
//! Every document is checked against the schema its CustomResourceDefinition has: types, unknown fields, enumerations,
//! patterns, what is needed, defaults, and the CEL rules. What is wrong comes with its file and line.

mod flow;
mod kinds;
mod node;
mod structural;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt, fs, io,
    path::{Path, PathBuf},
};

use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use secrecy::SecretString;
use serde::de::DeserializeOwned;
use serde_json::Value;

use self::{kinds::schemas, node::Node};
use crate::{
    GROUP, VERSION,
    compile::{Defaults, Problem, Surroundings},
    conduit::Conduit,
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
    /// The same ConfigMaps, with their binaryData.
    pub binary: BTreeMap<String, BTreeMap<String, Vec<u8>>>,
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
                let wanted = file.extension().is_some_and(|extension| {
                    ["yaml", "yml", "json"]
                        .iter()
                        .any(|wanted| extension == *wanted)
                });
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
                manifests.problem(
                    &file,
                    0,
                    "",
                    format!("the file has {size} bytes, and may have {LARGEST_FILE}"),
                );
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
                    self.add_document(file, text, document);
                }
            }
            Err(error) => {
                let line = error.location().map_or(0, |location| location.line());
                self.problem(
                    file,
                    line,
                    "",
                    format!("the YAML cannot be read: {}", error.without_snippet()),
                );
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
            spirits: self
                .spirits
                .iter()
                .map(|(name, spirit)| (name.clone(), spirit.spec.clone()))
                .collect(),
            config_maps: self.config_maps.clone(),
            secrets: self
                .secrets
                .iter()
                .map(|(name, values)| {
                    (
                        name.clone(),
                        values.keys().cloned().collect::<BTreeSet<_>>(),
                    )
                })
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

    fn add_document(&mut self, file: &Path, source: &str, document: Node) {
        let (Some(api_version), Some(kind)) = (document.text("apiVersion"), document.text("kind"))
        else {
            return self.problem(
                file,
                document.line,
                "",
                "a manifest needs apiVersion and kind",
            );
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
        let mut faults = flow::question_marks(&document, source);
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
            let message = format!(
                "{id} is in {}:{} already",
                earlier.file.display(),
                earlier.node.line
            );
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

    fn add_unknown(
        &mut self,
        file: &Path,
        document: &Node,
        api_version: &str,
        kind: &str,
        id: String,
    ) {
        let group = api_version.split('/').next().unwrap_or_default();
        if group != GROUP {
            self.ignored.push(id);
            return;
        }
        let wanted = format!("{GROUP}/{VERSION}");
        let kinds = ["Conduit", "Rite", "Spirit", "Vigil"].map(str::to_owned);
        if api_version != wanted {
            let line = document.line_of("apiVersion");
            self.problem(
                file,
                line,
                "apiVersion",
                format!("{api_version:?} is not served; use {wanted}"),
            );
        } else {
            let hint = structural::nearest(kind, kinds.iter())
                .map(|kind| format!("; did you mean {kind}?"))
                .unwrap_or_else(|| format!("; there are {}", kinds.join(", ")));
            self.problem(
                file,
                document.line_of("kind"),
                "kind",
                format!("there is no kind {kind:?}{hint}"),
            );
        }
    }

    fn keep(&mut self, kind: &str, name: &str, mut value: Value) -> Result<(), String> {
        let name = name.to_owned();
        unwrap_base64(&mut value, kind);
        match kind {
            "Spirit" => drop(self.spirits.insert(name, typed(value)?)),
            "Conduit" => drop(self.conduits.insert(name, typed(value)?)),
            "Vigil" => drop(self.vigils.insert(name, typed(value)?)),
            "Rite" => drop(self.rites.insert(name, typed(value)?)),
            "Secret" => drop(self.secrets.insert(name, secret_values(typed(value)?)?)),
            _ => {
                let ConfigMap {
                    data, binary_data, ..
                } = typed(value)?;
                let (data, binary) = (data.unwrap_or_default(), binary_data.unwrap_or_default());
                if let Some(key) = binary.keys().find(|key| data.contains_key(*key)) {
                    return Err(format!(
                        "the key {key:?} is in data and in binaryData: leave one of them"
                    ));
                }
                let bytes = binary.into_iter().map(|(key, bytes)| (key, bytes.0));
                self.binary.insert(name.clone(), bytes.collect());
                self.config_maps.insert(name, data);
            }
        }
        Ok(())
    }
}

/// The API server takes base64 in lines, too.
fn unwrap_base64(value: &mut Value, kind: &str) {
    let field = match kind {
        "Secret" => "data",
        "ConfigMap" => "binaryData",
        _ => return,
    };
    let values = value.get_mut(field).and_then(Value::as_object_mut);
    for value in values.into_iter().flat_map(|values| values.values_mut()) {
        if let Value::String(text) = value {
            text.retain(|c| c != '\n' && c != '\r');
        }
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
        let text =
            String::from_utf8(bytes.0).map_err(|_| format!("the key {key:?} is not text"))?;
        values.insert(key, SecretString::from(text));
    }
    for (key, text) in secret.string_data.unwrap_or_default() {
        values.insert(key, SecretString::from(text));
    }
    Ok(values)
}

#[cfg(test)]
mod tests;
