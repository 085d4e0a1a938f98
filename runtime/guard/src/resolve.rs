//! Resolving names to the addresses that the policy allows, and to no others.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use futures::future::BoxFuture;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::Url;

use crate::policy::Policy;

/// Looks a name up: all its addresses, or why there is none.
pub type Lookup = Arc<dyn Fn(String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> + Send + Sync>;

/// The machine's own resolver.
pub(crate) fn system_lookup() -> Lookup {
    Arc::new(|name| {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            Ok(found.map(|address| address.ip()).collect())
        })
    })
}

/// The scheme that a resolver's client speaks. What a name may resolve to depends on it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Scheme {
    Http,
    Https,
}

/// A resolver that gives its client only addresses the policy allows. The client connects to these and looks nothing up
/// again, so a name cannot be rebound between the check and the connection.
pub(crate) struct Resolver {
    scheme: Scheme,
    policy: Arc<Policy>,
    lookup: Lookup,
}

impl Resolver {
    pub(crate) fn new(scheme: Scheme, policy: Arc<Policy>, lookup: Lookup) -> Self {
        Self {
            scheme,
            policy,
            lookup,
        }
    }
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let (scheme, policy, lookup) = (self.scheme, self.policy.clone(), self.lookup.clone());
        Box::pin(async move {
            let scheme = match scheme {
                Scheme::Http => "http",
                Scheme::Https => "https",
            };
            let target =
                policy.check_url(&Url::parse(&format!("{scheme}://{}/", name.as_str()))?)?;
            let mut allowed = Vec::new();
            let mut refused = None;
            for address in lookup(name.as_str().to_owned()).await? {
                match policy.check_address(&target, address) {
                    Ok(()) => allowed.push(SocketAddr::new(address, 0)),
                    Err(refusal) => refused = Some(refusal),
                }
            }
            match (allowed.is_empty(), refused) {
                (true, Some(refusal)) => Err(refusal.into()),
                (true, None) => Err("the name has no address".into()),
                (false, _) => {
                    let addresses: Addrs = Box::new(allowed.into_iter());
                    Ok(addresses)
                }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use reqwest::Method;
    use wiremock::{Mock, MockServer, ResponseTemplate, matchers::any};

    use super::*;
    use crate::{GuardedClient, Reason, RequestError};

    fn finds(addresses: &'static [&str]) -> Lookup {
        Arc::new(move |_| {
            Box::pin(async {
                Ok(addresses
                    .iter()
                    .map(|address| address.parse().unwrap())
                    .collect())
            })
        })
    }

    async fn resolve(
        scheme: Scheme,
        policy: Policy,
        lookup: Lookup,
    ) -> Result<Vec<String>, String> {
        let resolver = Resolver::new(scheme, Arc::new(policy), lookup);
        match resolver.resolve("api.example".parse().unwrap()).await {
            Ok(addresses) => Ok(addresses.map(|address| address.ip().to_string()).collect()),
            Err(error) => Err(error.to_string()),
        }
    }

    #[tokio::test]
    async fn only_allowed_addresses_are_handed_on() {
        let mixed = finds(&["10.0.0.1", "93.184.216.34", "169.254.169.254", "127.0.0.1"]);
        let found = resolve(Scheme::Https, Policy::default(), mixed).await;
        assert_eq!(found.unwrap(), ["93.184.216.34"]);
    }

    #[tokio::test]
    async fn which_addresses_are_allowed_depends_on_the_scheme() {
        let policy = Policy {
            allow_cidrs: vec!["10.20.0.0/16".parse().unwrap()],
            ..Policy::default()
        };
        let both = || finds(&["93.184.216.34", "10.20.0.1"]);
        assert_eq!(
            resolve(Scheme::Http, policy.clone(), both()).await.unwrap(),
            ["10.20.0.1"]
        );
        assert_eq!(
            resolve(Scheme::Https, policy, both()).await.unwrap(),
            ["93.184.216.34", "10.20.0.1"]
        );
    }

    #[tokio::test]
    async fn a_name_with_no_allowed_address_is_refused_by_name() {
        let refused = resolve(
            Scheme::Https,
            Policy::default(),
            finds(&["169.254.169.254"]),
        )
        .await;
        assert!(refused.unwrap_err().contains("api.example"));
        assert!(
            resolve(Scheme::Https, Policy::default(), finds(&[]))
                .await
                .is_err()
        );
    }

    /// The lookup gives an allowed address first and a forbidden one later, or the other way round: what is connected to
    /// is what was judged, and each connection looks up once.
    #[tokio::test]
    async fn a_name_that_is_rebound_is_not_followed() {
        let server = MockServer::start().await;
        Mock::given(any())
            .respond_with(ResponseTemplate::new(204).insert_header("connection", "close"))
            .mount(&server)
            .await;
        let lookups = Arc::new(AtomicUsize::new(0));
        let counted = lookups.clone();
        let rebinding: Lookup = Arc::new(move |_| {
            let first = counted.fetch_add(1, Ordering::SeqCst) == 0;
            let address = if first {
                [127, 0, 0, 1]
            } else {
                [169, 254, 169, 254]
            };
            Box::pin(async move { Ok(vec![IpAddr::from(address)]) })
        });
        let policy = Policy {
            allow_hosts: vec!["*.example".to_owned()],
            loopback: true,
            ..Policy::default()
        };
        let client = GuardedClient::with_lookup(Arc::new(policy), rebinding);
        let url: Url = format!("http://shop.example:{}/", server.address().port())
            .parse()
            .unwrap();
        assert_eq!(
            client
                .request(Method::GET, url.clone())
                .send()
                .await
                .unwrap()
                .status(),
            204
        );
        assert_eq!(lookups.load(Ordering::SeqCst), 1);
        let error = client.request(Method::GET, url).send().await.err().unwrap();
        let RequestError::Refused(refusal) = error else {
            panic!("not refused: {error}")
        };
        assert_eq!(
            (refusal.host.as_str(), refusal.reason),
            ("shop.example", Reason::ForbiddenAddress)
        );
        assert_eq!(server.received_requests().await.unwrap().len(), 1);
    }

    #[tokio::test]
    async fn a_name_that_nobody_knows_cannot_be_reached() {
        let unknown: Lookup =
            Arc::new(|_| Box::pin(async { Err(io::Error::other("no such name")) }));
        let policy = Policy {
            allow_hosts: vec!["shop.example".to_owned()],
            ..Policy::default()
        };
        let client = GuardedClient::with_lookup(Arc::new(policy), unknown);
        let error = client
            .request(Method::GET, "http://shop.example/".parse().unwrap())
            .send()
            .await
            .err()
            .unwrap();
        assert!(matches!(error, RequestError::Connect { .. }), "{error}");
        assert!(error.to_string().contains("no such name"), "{error}");
    }
}
