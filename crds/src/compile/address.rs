//! Where a URL of a manifest points: a Service's short name is written out, and the guard has its say.

use eywa_guard::Policy;
use url::Url;

use super::{ProblemReason, Problems, Surroundings};
use crate::template::{TemplateError, UrlTemplate, Vocabulary};

/// Judges the URLs of one namespace.
pub(crate) struct Addresses<'a> {
    around: &'a Surroundings,
    network: Policy,
}

/// Why a URL is refused.
type Refused = (ProblemReason, String);

impl<'a> Addresses<'a> {
    pub(crate) fn new(around: &'a Surroundings, network: Policy) -> Self {
        Self { around, network }
    }

    pub(crate) fn around(&self) -> &'a Surroundings {
        self.around
    }

    pub(crate) fn into_network(self) -> Policy {
        self.network
    }

    /// The URL as the runtime uses it.
    pub(crate) fn url(&self, text: &str) -> Result<String, Refused> {
        let text = self.written_out(text);
        let url = Url::parse(&text).map_err(|error| {
            (
                ProblemReason::UrlInvalid,
                format!("{text:?} is not a URL: {error}"),
            )
        })?;
        self.judge(&url)?;
        Ok(text)
    }

    /// The URL as the runtime uses it; what is wrong with it is noted.
    pub(crate) fn noted(&self, field: &str, text: &str, problems: &mut Problems) -> String {
        self.url(text).unwrap_or_else(|(reason, message)| {
            problems.push(field, reason, message);
            String::new()
        })
    }

    /// The URL template as the runtime uses it.
    pub(crate) fn template(&self, text: &str, vocabulary: Vocabulary) -> Result<String, Refused> {
        let text = self.written_out(text);
        let template = UrlTemplate::parse(&text, vocabulary).map_err(|error| {
            let reason = match error {
                TemplateError::NotAUrl(_) => ProblemReason::UrlInvalid,
                _ => ProblemReason::TemplateInvalid,
            };
            (reason, error.to_string())
        })?;
        self.judge(template.origin())?;
        Ok(text)
    }

    fn judge(&self, url: &Url) -> Result<(), Refused> {
        self.network
            .check_url(url)
            .map(drop)
            .map_err(|refusal| (ProblemReason::AddressNotAllowed, refusal.to_string()))
    }

    /// A host without a dot is a Service of the manifest's own namespace. It is written out here, once: resolved at run
    /// time, by a resolver's search list, it could mean something else.
    fn written_out(&self, text: &str) -> String {
        let unchanged = || text.to_owned();
        let Some((scheme, rest)) = text.split_once("://") else {
            return unchanged();
        };
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, tail) = rest.split_at(end);
        let (host, port) = match authority.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        };
        let is_name = host.starts_with(|first: char| first.is_ascii_alphabetic())
            && host
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        if !is_name || host == "localhost" {
            return unchanged();
        }
        let host = host.to_ascii_lowercase();
        if let Some(elsewhere) = self.around.services.get(&host) {
            return format!("{scheme}://{elsewhere}{tail}");
        }
        let Some(namespace) = &self.network.namespace else {
            return unchanged();
        };
        let port = port.map(|port| format!(":{port}")).unwrap_or_default();
        format!("{scheme}://{host}.{namespace}.svc{port}{tail}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn surroundings() -> Surroundings {
        Surroundings {
            namespace: "cafe".to_owned(),
            services: [("shop-conduit".to_owned(), "127.0.0.1:40001".to_owned())].into(),
            ..Surroundings::default()
        }
    }

    #[test]
    fn a_short_name_is_a_service_of_the_own_namespace() {
        let around = surroundings();
        let addresses = Addresses::new(
            &around,
            Policy {
                namespace: Some("cafe".to_owned()),
                loopback: true,
                ..Policy::default()
            },
        );
        for (written, meant) in [
            ("http://ollama:11434/v1", "http://ollama.cafe.svc:11434/v1"),
            ("http://ollama", "http://ollama.cafe.svc"),
            ("http://Ollama?x=1", "http://ollama.cafe.svc?x=1"),
            ("http://shop-conduit:8000/mcp", "http://127.0.0.1:40001/mcp"),
            ("http://localhost:8000/mcp", "http://localhost:8000/mcp"),
            ("https://api.example/v1", "https://api.example/v1"),
            ("http://[::1]:80/", "http://[::1]:80/"),
        ] {
            assert_eq!(addresses.url(written).unwrap(), meant);
        }
        assert_eq!(
            addresses
                .template("http://crm/people/{{ user.id }}", Vocabulary::SCOUT_URL)
                .unwrap(),
            "http://crm.cafe.svc/people/{{ user.id }}"
        );
    }

    #[test]
    fn nothing_is_written_out_that_is_no_name() {
        let around = surroundings();
        let addresses = Addresses::new(
            &around,
            Policy {
                namespace: Some("cafe".to_owned()),
                ..Policy::default()
            },
        );
        for (written, reason) in [
            ("http://2130706433/", ProblemReason::AddressNotAllowed),
            ("http://0x7f000001/", ProblemReason::AddressNotAllowed),
            ("http://user@shop/", ProblemReason::AddressNotAllowed),
            ("http://{{ user.id }}/", ProblemReason::UrlInvalid),
        ] {
            assert_eq!(addresses.url(written).unwrap_err().0, reason, "{written}");
        }
        let (reason, _) = addresses
            .template("http://crm{{ user.id }}/", Vocabulary::SCOUT_URL)
            .unwrap_err();
        assert_eq!(reason, ProblemReason::TemplateInvalid);
    }

    #[test]
    fn without_a_cluster_a_short_name_is_one_that_is_run_here_or_nothing() {
        let around = surroundings();
        let addresses = Addresses::new(
            &around,
            Policy {
                loopback: true,
                ..Policy::default()
            },
        );
        assert_eq!(
            addresses.url("http://shop-conduit/mcp").unwrap(),
            "http://127.0.0.1:40001/mcp"
        );
        assert_eq!(
            addresses.url("http://other/mcp").unwrap_err().0,
            ProblemReason::AddressNotAllowed
        );
    }
}
