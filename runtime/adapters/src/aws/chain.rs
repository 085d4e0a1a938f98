//! The standard credential chain, kept fresh off the path of requests.
//!
//! Source: AWS SDKs and Tools Reference Guide, "Standardized credential providers". The chain is aws-config's own; its
//! requests go out by [`Connector`].

use std::{
    error::Error as _,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use aws_config::{
    Region, default_provider::credentials::DefaultCredentialsChain, provider_config::ProviderConfig,
};
use aws_credential_types::{
    Credentials,
    provider::{ProvideCredentials, error::CredentialsError},
};
use eywa_guard::GuardedClient;
use tokio::sync::{Mutex as Turnstile, OnceCell};

use super::{NoCredentials, connector::Connector};

/// How long fetching may take, all of the chain's attempts together.
const CEILING: Duration = Duration::from_secs(15);

/// How long before credentials expire new ones are fetched; and how long those are kept that do not say when they expire,
/// since a file may be written anew.
const AHEAD: Duration = Duration::from_secs(5 * 60);

/// Credentials that expire within this time are not used: the request has a way to go.
const MARGIN: Duration = Duration::from_secs(10);

/// The most that is kept of what a provider said.
const LONGEST_REASON: usize = 300;

pub(super) struct Chain {
    client: GuardedClient,
    region: Region,
    providers: OnceCell<DefaultCredentialsChain>,
    kept: Mutex<Option<Kept>>,
    /// Held by the one that fetches.
    fetching: Arc<Turnstile<()>>,
}

#[derive(Clone)]
struct Kept {
    credentials: Credentials,
    renew_at: SystemTime,
}

impl Kept {
    fn good_at(&self, now: SystemTime) -> bool {
        self.credentials
            .expiry()
            .is_none_or(|expiry| expiry > now + MARGIN)
    }
}

impl Chain {
    pub(super) fn new(client: GuardedClient, region: &str) -> Self {
        Self {
            client,
            region: Region::new(region.to_owned()),
            providers: OnceCell::new(),
            kept: Mutex::new(None),
            fetching: Arc::new(Turnstile::new(())),
        }
    }

    pub(super) fn forget(&self) {
        *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Credentials that are good at `now`. Those that are about to expire are still given, while others are fetched.
    pub(super) async fn get(
        self: &Arc<Self>,
        now: SystemTime,
    ) -> Result<Credentials, NoCredentials> {
        if let Some(kept) = self.kept().filter(|kept| kept.good_at(now)) {
            if now >= kept.renew_at
                && let Ok(turn) = self.fetching.clone().try_lock_owned()
            {
                let chain = self.clone();
                tokio::spawn(async move {
                    if let Err(error) = chain.fetch().await {
                        tracing::warn!(%error, "AWS credentials cannot be renewed yet");
                    }
                    drop(turn);
                });
            }
            return Ok(kept.credentials);
        }
        let _turn = self.fetching.lock().await;
        // Somebody may have fetched them meanwhile.
        if let Some(kept) = self.kept().filter(|kept| kept.good_at(now)) {
            return Ok(kept.credentials);
        }
        self.fetch().await
    }

    fn kept(&self) -> Option<Kept> {
        self.kept
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    async fn fetch(&self) -> Result<Credentials, NoCredentials> {
        let fetched = tokio::time::timeout(CEILING, async {
            let providers = self.providers.get_or_init(|| self.build()).await;
            providers.provide_credentials().await
        });
        let credentials = match fetched.await {
            Ok(fetched) => fetched.map_err(|error| explain(&error))?,
            Err(_) => {
                return Err(NoCredentials {
                    may_pass: true,
                    message: "AWS credentials could not be fetched in time".to_owned(),
                });
            }
        };
        let renew_at = match credentials.expiry() {
            Some(expiry) => expiry - AHEAD,
            None => SystemTime::now() + AHEAD,
        };
        *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = Some(Kept {
            credentials: credentials.clone(),
            renew_at,
        });
        Ok(credentials)
    }

    async fn build(&self) -> DefaultCredentialsChain {
        let config =
            ProviderConfig::without_region().with_http_client(Connector::new(self.client.clone()));
        DefaultCredentialsChain::builder()
            .configure(config)
            .region(self.region.clone())
            .build()
            .await
    }
}

fn explain(error: &CredentialsError) -> NoCredentials {
    let mut reason = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        reason.push_str(": ");
        reason.push_str(&error.to_string());
        cause = error.source();
    }
    let reason: String = reason.chars().take(LONGEST_REASON).collect();
    NoCredentials {
        may_pass: matches!(error, CredentialsError::ProviderTimedOut(_)),
        message: format!(
            "there are no AWS credentials: name a Secret in credentials, or give the pods a role by \
             runtime.serviceAccountAnnotations ({reason})"
        ),
    }
}
