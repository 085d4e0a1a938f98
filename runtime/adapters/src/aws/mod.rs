//! What adapters of AWS services share: credentials and signatures. Requests themselves go through the guarded client.

pub(crate) mod bedrock;
mod chain;
mod connector;
mod sign;

use std::{fmt, sync::Arc, time::SystemTime};

use aws_credential_types::Credentials;
use eywa_guard::GuardedClient;
use eywa_weave::ports::oracle::Fault;
use secrecy::{ExposeSecret, SecretString};

pub use self::bedrock::{BedrockAuth, BedrockSite};
use self::chain::Chain;
pub(crate) use self::sign::{Signing, sign};

/// There is nothing to sign with.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub struct NoCredentials {
    /// Whether asking again soon may help.
    pub may_pass: bool,
    /// Why, and what to do.
    pub message: String,
}

impl NoCredentials {
    /// Its class.
    pub(crate) fn fault(&self) -> Fault {
        if self.may_pass {
            Fault::TimedOut
        } else {
            Fault::Unauthorized
        }
    }
}

/// What requests are signed with. Cheap to clone; clones share what was fetched.
#[derive(Clone)]
pub struct AwsCredentials(Source);

#[derive(Clone)]
enum Source {
    Given(Credentials),
    Chain(Arc<Chain>),
}

impl AwsCredentials {
    /// The pod's own: environment, profile files, the web identity token of IRSA, EKS Pod Identity. A node's role is none
    /// of them: it belongs to everybody on the node.
    #[must_use]
    pub fn of_the_pod(client: GuardedClient, region: &str) -> Self {
        Self(Source::Chain(Arc::new(Chain::new(client, region))))
    }

    /// Those of a credentials file as AWS' tools write it: the profile `default`, or lines without any profile.
    ///
    /// # Errors
    /// When the access key or its secret is missing. The text is not quoted.
    pub fn from_file(text: &SecretString) -> Result<Self, NoCredentials> {
        let mut named = Named::default();
        let mut in_default = true;
        for line in text.expose_secret().lines().map(str::trim) {
            if let Some(profile) = line
                .strip_prefix('[')
                .and_then(|rest| rest.strip_suffix(']'))
            {
                in_default = profile.trim() == "default";
            } else if let Some((name, value)) = line.split_once('=').filter(|_| in_default) {
                named.take(name.trim(), value.trim());
            }
        }
        let Named {
            key: Some(key),
            secret: Some(secret),
            session,
        } = named
        else {
            return Err(NoCredentials {
                may_pass: false,
                message: "the AWS credentials need the lines aws_access_key_id and aws_secret_access_key, \
                          under [default] or under no profile"
                    .to_owned(),
            });
        };
        Ok(Self(Source::Given(Credentials::new(
            key, secret, session, None, "Secret",
        ))))
    }

    /// Credentials that are still good.
    ///
    /// # Errors
    /// [`NoCredentials`].
    pub(crate) async fn get(&self) -> Result<Credentials, NoCredentials> {
        match &self.0 {
            Source::Given(credentials) => Ok(credentials.clone()),
            Source::Chain(chain) => chain.get(SystemTime::now()).await,
        }
    }

    /// What was fetched is no good any more, says the service: the next request fetches anew.
    pub(crate) fn forget(&self) {
        if let Source::Chain(chain) = &self.0 {
            chain.forget();
        }
    }
}

impl fmt::Debug for AwsCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Source::Given(_) => "AwsCredentials(given)",
            Source::Chain(_) => "AwsCredentials(of the pod)",
        })
    }
}

#[derive(Default)]
struct Named {
    key: Option<String>,
    secret: Option<String>,
    session: Option<String>,
}

impl Named {
    fn take(&mut self, name: &str, value: &str) {
        let field = match name {
            "aws_access_key_id" => &mut self.key,
            "aws_secret_access_key" => &mut self.secret,
            "aws_session_token" => &mut self.session,
            _ => return,
        };
        *field = Some(value.to_owned()).filter(|value| !value.is_empty());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read(text: &str) -> Result<(String, String, Option<String>), NoCredentials> {
        let credentials = AwsCredentials::from_file(&SecretString::from(text))?
            .get()
            .await?;
        Ok((
            credentials.access_key_id().to_owned(),
            credentials.secret_access_key().to_owned(),
            credentials.session_token().map(str::to_owned),
        ))
    }

    #[tokio::test]
    async fn a_credentials_file_is_read_as_the_tools_of_aws_write_it() {
        let pair = ("AKIDFAKE".to_owned(), "not/a+real=secret".to_owned());
        for (text, session) in [
            (
                "[default]\naws_access_key_id = AKIDFAKE\naws_secret_access_key=not/a+real=secret\n",
                None,
            ),
            (
                "aws_access_key_id=AKIDFAKE\naws_secret_access_key=not/a+real=secret\naws_session_token=fake",
                Some("fake".to_owned()),
            ),
            (
                "# mine\n[other]\naws_access_key_id=AKIDOTHER\n[default]\naws_access_key_id=AKIDFAKE\r\n\
                 aws_secret_access_key=not/a+real=secret\n[last]\naws_session_token=other",
                None,
            ),
        ] {
            assert_eq!(
                read(text).await.unwrap(),
                (pair.0.clone(), pair.1.clone(), session),
                "{text}"
            );
        }
    }

    #[tokio::test]
    async fn a_file_without_a_secret_is_refused_and_not_quoted() {
        for text in ["", "AKIDFAKE", "[default]\naws_access_key_id=AKIDFAKE"] {
            let error = read(text).await.unwrap_err();
            assert!(!error.may_pass);
            assert!(!error.message.contains("AKIDFAKE"), "{}", error.message);
        }
    }

    #[test]
    fn credentials_are_not_in_debug_output() {
        let text = SecretString::from("aws_access_key_id=AKIDFAKE\naws_secret_access_key=hidden");
        let shown = format!("{:?}", AwsCredentials::from_file(&text).unwrap());
        assert!(!shown.contains("AKIDFAKE") && !shown.contains("hidden"));
    }
}
