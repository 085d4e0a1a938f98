//! Compiling what a Spirit may find out and do: Scouts and Actions.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::{ProblemReason, secrets::secret_headers, spirit::SpiritCompiler};
use crate::{
    expression::When,
    reference::HeaderFrom,
    runtime_config::{CompiledAction, CompiledHttpScout, CompiledScout, ScoutSource},
    spirit::{Action, Header, HttpAction, HttpMethod, HttpScout, Scout},
    template::{HeaderTemplate, JsonTemplate, Template, Vocabulary},
};

/// The most bytes of what one Scout finds: more is not shown to an Oracle.
const LONGEST_TEXT: usize = 32 * 1024;

/// Headers that the connection itself has, which a manifest must not write (RFC 9110, section 7.6.1, and the length).
const HEADERS_OF_THE_CONNECTION: [&str; 9] = [
    "connection",
    "content-length",
    "host",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

impl SpiritCompiler<'_> {
    pub(super) fn scout(&mut self, index: usize, scout: &Scout) -> Option<CompiledScout> {
        let field = format!("spec.scouts[{index}]");
        if let Some(Err(error)) = scout.when.as_deref().map(When::parse) {
            self.problems.push(
                format!("{field}.when"),
                ProblemReason::ExpressionInvalid,
                error.to_string(),
            );
        }
        let source = match (&scout.http, &scout.config_map_ref, &scout.text) {
            (Some(http), None, None) => {
                ScoutSource::Http(self.http_scout(&format!("{field}.http"), http))
            }
            (None, Some(reference), None) => {
                let field = format!("{field}.configMapRef");
                let text = self.config_map_value(&field, reference)?;
                self.text_scout(&field, text)
            }
            (None, None, Some(text)) => self.text_scout(&format!("{field}.text"), text.clone()),
            _ => {
                self.problems.push(
                    field,
                    ProblemReason::SpecInvalid,
                    "exactly one of http, configMapRef and text is needed",
                );
                return None;
            }
        };
        Some(CompiledScout {
            name: scout.name.clone(),
            source,
            timeout: scout.timeout,
            when: scout.when.clone(),
        })
    }

    fn text_scout(&mut self, field: &str, text: String) -> ScoutSource {
        if text.len() > LONGEST_TEXT {
            self.problems.push(
                field,
                ProblemReason::SpecInvalid,
                format!(
                    "it is {} bytes long, and an Oracle is shown {LONGEST_TEXT} of one Scout: shorten it, split it, or make it Lore",
                    text.len()
                ),
            );
        }
        if let Err(error) = Template::parse(&text, Vocabulary::PERSONA) {
            self.problems
                .push(field, ProblemReason::TemplateInvalid, error.to_string());
        }
        ScoutSource::Text(text)
    }

    fn http_scout(&mut self, field: &str, http: &HttpScout) -> CompiledHttpScout {
        let vocabulary = Vocabulary::SCOUT_URL;
        let url = self.url_template(&format!("{field}.url"), &http.url, vocabulary);
        self.headers(field, &http.headers, &http.headers_from, vocabulary);
        self.pick(field, &http.pick);
        CompiledHttpScout {
            url,
            headers: http.headers.clone(),
            headers_from: secret_headers(&http.headers_from),
            pick: http.pick.clone(),
            cache: http.cache,
        }
    }

    pub(super) fn action(&mut self, index: usize, action: &Action) -> CompiledAction {
        let (field, vocabulary) = (format!("spec.actions[{index}]"), Vocabulary::ACTION_URL);
        let http = &action.http;
        let url = self.url_template(&format!("{field}.http.url"), &http.url, vocabulary);
        let checked = check_parameters(action);
        self.noting(&format!("{field}.parameters"), checked);
        let field = format!("{field}.http");
        self.headers(&field, &http.headers, &http.headers_from, vocabulary);
        self.pick(&field, &http.pick);
        self.idempotency_key(&field, http);
        let query = http.query.as_ref().map(|query| {
            let named = query.iter();
            named
                .map(|(name, value)| (name.clone(), Value::String(value.clone())))
                .collect::<Map<_, _>>()
        });
        let in_body = matches!(
            http.method,
            HttpMethod::Post | HttpMethod::Put | HttpMethod::Patch
        );
        if http.body.is_some() && !in_body {
            self.problems.push(
                format!("{field}.body"),
                ProblemReason::SpecInvalid,
                "a body is for POST, PUT and PATCH; write query instead",
            );
        }
        for (part, template) in [("query", &query), ("body", &http.body)] {
            let checked = template
                .as_ref()
                .map(|template| JsonTemplate::parse(template, vocabulary));
            if let Some(Err(wrong)) = checked {
                self.problems.push(
                    format!("{field}.{part}.{}", wrong.field),
                    ProblemReason::TemplateInvalid,
                    wrong.error.to_string(),
                );
            }
        }
        CompiledAction {
            name: action.name.clone(),
            description: action.description.clone(),
            parameters: action.parameters.clone(),
            method: http.method,
            url,
            query,
            body: http.body.clone(),
            headers: http.headers.clone(),
            headers_from: secret_headers(&http.headers_from),
            pick: http.pick.clone(),
            max_response: http.max_response,
            idempotency_key: Some(http.idempotency_key.clone()).filter(|name| !name.is_empty()),
            retries: http.retries,
            timeout: action.timeout,
        }
    }

    /// A header is written once, is not the connection's, and its value is a template.
    fn headers(
        &mut self,
        field: &str,
        headers: &[Header],
        secret: &[HeaderFrom],
        vocabulary: Vocabulary,
    ) {
        let mut seen: BTreeSet<String> = secret
            .iter()
            .map(|header| header.name.to_ascii_lowercase())
            .collect();
        for (index, header) in headers.iter().enumerate() {
            let field = format!("{field}.headers[{index}]");
            let name = header.name.to_ascii_lowercase();
            if HEADERS_OF_THE_CONNECTION.contains(&name.as_str()) {
                self.problems.push(
                    format!("{field}.name"),
                    ProblemReason::SpecInvalid,
                    format!(
                        "{:?} is the connection's own header: take it out",
                        header.name
                    ),
                );
            } else if !seen.insert(name) {
                self.problems.push(
                    format!("{field}.name"),
                    ProblemReason::SpecInvalid,
                    format!(
                        "the header {:?} is written twice: take one out",
                        header.name
                    ),
                );
            }
            if let Err(error) = HeaderTemplate::parse(&header.value, vocabulary) {
                self.problems.push(
                    format!("{field}.value"),
                    ProblemReason::TemplateInvalid,
                    error.to_string(),
                );
            }
        }
    }

    /// A receiver that is told the wrong key would take two calls for one.
    fn idempotency_key(&mut self, field: &str, http: &HttpAction) {
        let key = &http.idempotency_key;
        let own = http.headers.iter().map(|header| &header.name);
        let mut named = own.chain(http.headers_from.iter().map(|header| &header.name));
        if !key.is_empty() && named.any(|name| name.eq_ignore_ascii_case(key)) {
            self.problems.push(
                format!("{field}.idempotencyKey"),
                ProblemReason::SpecInvalid,
                format!(
                    "the header {key:?} is written by the manifest too: take it out there, or set idempotencyKey to another name or to \"\""
                ),
            );
        }
        if HEADERS_OF_THE_CONNECTION.contains(&key.to_ascii_lowercase().as_str()) {
            self.problems.push(
                format!("{field}.idempotencyKey"),
                ProblemReason::SpecInvalid,
                format!("{key:?} is the connection's own header: choose another"),
            );
        }
    }

    fn pick(&mut self, field: &str, pick: &BTreeMap<String, String>) {
        for (label, pointer) in pick {
            let field = format!("{field}.pick.{label}");
            if label.is_empty() || label.len() > 64 || label.contains([':', '\n', '\r']) {
                self.problems.push(
                    field,
                    ProblemReason::SpecInvalid,
                    "a label stands before the value, as `label: value`: give it 1 to 64 characters, no colon and no line break",
                );
            } else if !is_pointer(pointer) {
                self.problems.push(
                    field,
                    ProblemReason::SpecInvalid,
                    format!("{pointer:?} is no JSON pointer: write it as /customer/name, with ~1 for / and ~0 for ~ inside of a name"),
                );
            }
        }
    }
}

/// As RFC 6901 says: empty, or names that each begin with a slash, where a tilde is followed by 0 or 1.
fn is_pointer(pointer: &str) -> bool {
    let escapes = pointer.split('~').skip(1);
    (pointer.is_empty() || pointer.starts_with('/'))
        && escapes.into_iter().all(|rest| rest.starts_with(['0', '1']))
}

fn check_parameters(action: &Action) -> Result<(), (ProblemReason, String)> {
    let invalid = |message: String| Err((ProblemReason::SchemaInvalid, message));
    if action.parameters.get("type").and_then(Value::as_str) != Some("object") {
        return invalid(
            "a tool's parameters are a JSON Schema of an object: add type: object".to_owned(),
        );
    }
    match jsonschema::validator_for(&Value::Object(action.parameters.clone())) {
        Ok(_) => Ok(()),
        Err(error) => invalid(format!(
            "it is not a JSON Schema: {}: {error}",
            error.instance_path()
        )),
    }
}
