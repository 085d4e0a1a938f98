//! The rules: which URLs are let through, and which addresses behind them.

use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use url::{Host, Url};

use crate::address::{AddressClass, classify};

/// Where requests may go.
///
/// Public hosts are reached over https. Beyond them: Services of [`namespace`](Self::namespace), what the cluster's
/// admin allowed, and loopback where [`loopback`](Self::loopback) says so. Link-local and metadata addresses are never
/// reached, whoever allows them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Policy {
    /// The Spirit's own namespace, whose Services are reached over http too. None outside a cluster.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// The cluster's DNS domain.
    pub cluster_domain: String,
    /// Networks that are allowed, http or https.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub allow_cidrs: Vec<IpNet>,
    /// Hosts that are allowed, http or https, wherever on a private network they are: a name, or `*.` and a name, which
    /// stands for all names below it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub allow_hosts: Vec<String>,
    /// Whether this machine itself may be reached, http or https.
    pub loopback: bool,
}

impl Default for Policy {
    /// Public hosts over https, and nothing else.
    fn default() -> Self {
        Self {
            namespace: None,
            cluster_domain: "cluster.local".to_owned(),
            allow_cidrs: Vec::new(),
            allow_hosts: Vec::new(),
            loopback: false,
        }
    }
}

/// On what grounds a host was let through, and so which of its addresses are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Grounds {
    /// It is reached over https: its addresses must be public, or in an allowed network.
    Https,
    /// It is reached over http: its addresses must be in an allowed network.
    AllowedNetwork,
    /// It is a Service of the Spirit's namespace: its addresses may be private.
    OwnNamespace,
    /// The admin allowed the name: its addresses may be private.
    AllowedHost,
    /// It is this machine: its addresses must be loopback.
    Loopback,
}

/// A URL that was let through, as far as can be told before its host is resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The host: a name without a final dot, or an address.
    pub host: Host,
    /// The port, the scheme's own where the URL names none.
    pub port: u16,
    /// Why it was let through.
    pub grounds: Grounds,
}

/// A URL or an address that is not let through.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{host:?} is not allowed: {reason}")]
pub struct Refusal {
    /// The host that was asked for; empty where the URL has none.
    pub host: String,
    /// Why.
    pub reason: Reason,
}

/// Why a URL or an address is not let through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Reason {
    /// The scheme is neither http nor https.
    #[error("only http and https URLs are followed")]
    Scheme,
    /// The URL carries a user name or a password.
    #[error("a URL must not carry a user name or password; send a header from a Secret")]
    UserInformation,
    /// The URL has no host.
    #[error("the URL has no host")]
    NoHost,
    /// A public host over plain http.
    #[error(
        "public hosts are reached over https only; a private one needs network.allow in the chart's values"
    )]
    PlainHttp,
    /// A name without a dot, which depends on where it is resolved.
    #[error(
        "a name without a dot means something else everywhere; write a Service as name.namespace.svc"
    )]
    ShortName,
    /// A Service of another namespace.
    #[error(
        "it is a Service of another namespace; that needs network.allow.hosts in the chart's values"
    )]
    OtherNamespace,
    /// It resolved to a private address, or is one.
    #[error("its address is private; that needs network.allow.cidrs in the chart's values")]
    PrivateAddress,
    /// It resolved to this machine, or is it.
    #[error("its address is this machine's own")]
    LoopbackAddress,
    /// It resolved to a link-local or metadata address, or is one.
    #[error("link-local and metadata addresses are never reached")]
    ForbiddenAddress,
    /// Plain http to a host whose address is outside the allowed networks.
    #[error("plain http is for addresses in network.allow.cidrs, and its address is in none")]
    OutsideAllowedNetworks,
}

impl Policy {
    /// Judges a URL by what is written in it.
    ///
    /// # Errors
    /// Why it is not let through.
    pub fn check_url(&self, url: &Url) -> Result<Target, Refusal> {
        let refuse = |reason| {
            Err(Refusal {
                host: url.host_str().unwrap_or_default().to_owned(),
                reason,
            })
        };
        if !matches!(url.scheme(), "http" | "https") {
            return refuse(Reason::Scheme);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return refuse(Reason::UserInformation);
        }
        let (Some(host), Some(port)) = (url.host(), url.port_or_known_default()) else {
            return refuse(Reason::NoHost);
        };
        let https = url.scheme() == "https";
        // `Url::host_str` keeps the brackets of an IPv6 address; only `Url::host` tells an address from a name.
        let (host, grounds) = match host {
            Host::Domain(name) => {
                let name = name.strip_suffix('.').unwrap_or(name);
                (Host::Domain(name.to_owned()), self.judge_name(name, https))
            }
            Host::Ipv4(address) => (
                Host::Ipv4(address),
                self.judge_literal(address.into(), https),
            ),
            Host::Ipv6(address) => (
                Host::Ipv6(address),
                self.judge_literal(address.into(), https),
            ),
        };
        match grounds {
            Ok(grounds) => Ok(Target {
                host,
                port,
                grounds,
            }),
            Err(reason) => refuse(reason),
        }
    }

    /// Judges one address that the host of a [`Target`] resolved to. Connect to this very address, and no other.
    ///
    /// # Errors
    /// Why it is not let through.
    pub fn check_address(&self, target: &Target, address: IpAddr) -> Result<(), Refusal> {
        self.judge_address(target.grounds, address)
            .map_err(|reason| Refusal {
                host: target.host.to_string(),
                reason,
            })
    }

    fn judge_address(&self, grounds: Grounds, address: IpAddr) -> Result<(), Reason> {
        let allowed_network = self.in_allowed_network(address);
        match (classify(address), grounds) {
            (AddressClass::Forbidden, _) => Err(Reason::ForbiddenAddress),
            // A name that was allowed for its private network must not become a way to the pod's own ports.
            (AddressClass::Loopback, _) if self.loopback => Ok(()),
            (AddressClass::Loopback, _) => Err(Reason::LoopbackAddress),
            (_, Grounds::Loopback) => Err(Reason::PrivateAddress),
            (_, Grounds::AllowedNetwork) if !allowed_network => Err(Reason::OutsideAllowedNetworks),
            (AddressClass::Private, Grounds::Https) if !allowed_network => {
                Err(Reason::PrivateAddress)
            }
            _ => Ok(()),
        }
    }

    /// A literal address is its own resolution: both steps are done at once.
    fn judge_literal(&self, address: IpAddr, https: bool) -> Result<Grounds, Reason> {
        let grounds = match classify(address) {
            AddressClass::Loopback if self.loopback => Grounds::Loopback,
            AddressClass::Public if !https && !self.in_allowed_network(address) => {
                return Err(Reason::PlainHttp);
            }
            AddressClass::Private if !self.in_allowed_network(address) => {
                return Err(Reason::PrivateAddress);
            }
            _ if https => Grounds::Https,
            _ => Grounds::AllowedNetwork,
        };
        self.judge_address(grounds, address)?;
        Ok(grounds)
    }

    fn judge_name(&self, name: &str, https: bool) -> Result<Grounds, Reason> {
        if name.is_empty() {
            return Err(Reason::NoHost);
        }
        if name == "localhost" || name.ends_with(".localhost") {
            return if self.loopback {
                Ok(Grounds::Loopback)
            } else {
                Err(Reason::LoopbackAddress)
            };
        }
        if matches!(
            name,
            "metadata.google.internal" | "metadata" | "instance-data"
        ) {
            return Err(Reason::ForbiddenAddress);
        }
        let service = self.service(name);
        if self.allow_hosts.iter().any(|pattern| {
            host_matches(pattern, name)
                || service.is_some_and(|service| host_matches(pattern, service))
        }) {
            return Ok(Grounds::AllowedHost);
        }
        if let Some(service) = service {
            let namespace = service
                .strip_suffix(".svc")
                .and_then(|rest| rest.rsplit_once('.'));
            return match (namespace, &self.namespace) {
                (Some((name, namespace)), Some(own)) if namespace == own && !name.is_empty() => {
                    Ok(Grounds::OwnNamespace)
                }
                _ => Err(Reason::OtherNamespace),
            };
        }
        if !name.contains('.') {
            return Err(Reason::ShortName);
        }
        match (https, self.allow_cidrs.is_empty()) {
            (true, _) => Ok(Grounds::Https),
            (false, false) => Ok(Grounds::AllowedNetwork),
            (false, true) => Err(Reason::PlainHttp),
        }
    }

    /// `name.namespace.svc` of a Service's name in DNS, with or without the cluster's domain.
    fn service<'a>(&self, name: &'a str) -> Option<&'a str> {
        let short = name
            .strip_suffix(self.cluster_domain.as_str())
            .and_then(|rest| rest.strip_suffix('.'))
            .unwrap_or(name);
        short.ends_with(".svc").then_some(short)
    }

    fn in_allowed_network(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.allow_cidrs
            .iter()
            .any(|network| network.contains(&address))
    }
}

/// `Url` writes names in lower case; a pattern is taken as it comes.
fn host_matches(pattern: &str, name: &str) -> bool {
    let pattern = pattern.to_ascii_lowercase();
    match pattern.strip_prefix('*') {
        Some(suffix) => {
            suffix.starts_with('.') && name.len() > suffix.len() && name.ends_with(suffix)
        }
        None => pattern == name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cluster() -> Policy {
        Policy {
            namespace: Some("cafe".to_owned()),
            allow_cidrs: vec![
                "10.20.0.0/16".parse().unwrap(),
                "169.254.0.0/16".parse().unwrap(),
            ],
            allow_hosts: vec!["*.shared.svc".to_owned(), "erp.corp.example".to_owned()],
            ..Policy::default()
        }
    }

    fn check(policy: &Policy, url: &str) -> Result<Grounds, Reason> {
        policy
            .check_url(&Url::parse(url).unwrap())
            .map(|target| target.grounds)
            .map_err(|refusal| refusal.reason)
    }

    #[test]
    fn public_hosts_are_reached_over_https_only() {
        let policy = Policy::default();
        assert_eq!(check(&policy, "https://api.example/v1"), Ok(Grounds::Https));
        assert_eq!(
            check(&policy, "https://api.example.:8443/v1"),
            Ok(Grounds::Https)
        );
        assert_eq!(check(&policy, "https://1.1.1.1/"), Ok(Grounds::Https));
        assert_eq!(
            check(&policy, "http://api.example/v1"),
            Err(Reason::PlainHttp)
        );
        assert_eq!(check(&policy, "http://1.1.1.1/"), Err(Reason::PlainHttp));
    }

    #[test]
    fn other_schemes_and_user_information_are_refused() {
        let policy = Policy::default();
        for url in [
            "file:///etc/passwd",
            "gopher://a.example/",
            "dict://a.example/",
            "ftp://a.example/",
            "data:,x",
        ] {
            assert_eq!(check(&policy, url), Err(Reason::Scheme), "{url}");
        }
        for url in [
            "https://user@a.example/",
            "https://user:password@a.example/",
            "https://api.example@10.0.0.1/",
        ] {
            assert_eq!(check(&policy, url), Err(Reason::UserInformation), "{url}");
        }
    }

    #[test]
    fn every_spelling_of_this_machine_is_refused() {
        for host in [
            "127.0.0.1",
            "127.1",
            "2130706433",
            "0177.0.0.1",
            "0x7f000001",
            "0x7f.1",
            "[::1]",
            "[::ffff:127.0.0.1]",
            "[0:0:0:0:0:0:0:1]",
            "localhost",
            "LOCALHOST",
            "localhost.",
            "a.localhost",
        ] {
            for scheme in ["http", "https"] {
                let url = format!("{scheme}://{host}/");
                assert_eq!(
                    check(&cluster(), &url),
                    Err(Reason::LoopbackAddress),
                    "{url}"
                );
            }
        }
    }

    #[test]
    fn loopback_is_reached_where_the_policy_says_so_and_nowhere_else() {
        let policy = Policy {
            loopback: true,
            ..Policy::default()
        };
        for url in [
            "http://127.0.0.1:8000/",
            "http://localhost:8000/",
            "http://[::1]:8000/",
            "https://127.1/",
        ] {
            assert_eq!(check(&policy, url), Ok(Grounds::Loopback), "{url}");
        }
        let target = policy
            .check_url(&Url::parse("http://localhost/").unwrap())
            .unwrap();
        assert!(
            policy
                .check_address(&target, "127.0.0.1".parse().unwrap())
                .is_ok()
        );
        assert!(
            policy
                .check_address(&target, "10.0.0.1".parse().unwrap())
                .is_err()
        );
        assert!(
            policy
                .check_address(&target, "1.1.1.1".parse().unwrap())
                .is_err()
        );
    }

    #[test]
    fn link_local_and_metadata_are_never_reached_even_when_allowed() {
        let policy = Policy {
            loopback: true,
            allow_cidrs: vec!["0.0.0.0/0".parse().unwrap(), "::/0".parse().unwrap()],
            ..cluster()
        };
        for host in [
            "169.254.169.254",
            "2852039166",
            "0xa9fea9fe",
            "169.254.170.2",
            "100.100.100.200",
            "168.63.129.16",
            "192.0.0.192",
            "0.0.0.0",
            "[::]",
            "[::ffff:169.254.169.254]",
            "[::ffff:a9fe:a9fe]",
            "[64:ff9b::169.254.169.254]",
            "[2002:a9fe:a9fe::1]",
            "[2001:0:4136:e378:8000:63bf:3fff:fdd2]",
            "[fe80::1]",
            "[fd00:ec2::254]",
            "[fd00:ec2::23]",
            "[fd20:ce::254]",
            "[fd00:c1::a9fe:a9fe]",
            "metadata.google.internal",
        ] {
            for scheme in ["http", "https"] {
                let url = format!("{scheme}://{host}/latest/meta-data/");
                assert_eq!(check(&policy, &url), Err(Reason::ForbiddenAddress), "{url}");
            }
        }
    }

    #[test]
    fn private_addresses_need_an_allowed_network() {
        for host in [
            "10.0.0.1",
            "172.16.0.1",
            "192.168.0.1",
            "100.64.0.1",
            "[fc00::1]",
            "[64:ff9b::10.0.0.1]",
        ] {
            for scheme in ["http", "https"] {
                let url = format!("{scheme}://{host}/");
                assert_eq!(
                    check(&cluster(), &url),
                    Err(Reason::PrivateAddress),
                    "{url}"
                );
            }
        }
        assert_eq!(
            check(&cluster(), "http://10.20.0.1/"),
            Ok(Grounds::AllowedNetwork)
        );
        assert_eq!(check(&cluster(), "https://10.20.0.1/"), Ok(Grounds::Https));
        assert_eq!(
            check(&cluster(), "http://[::ffff:10.20.0.1]/"),
            Ok(Grounds::AllowedNetwork)
        );
    }

    #[test]
    fn services_of_the_own_namespace_are_reached_and_others_are_not() {
        for url in [
            "http://shop-tools.cafe.svc:8000/mcp",
            "https://shop-tools.cafe.svc/",
            "http://shop-tools.cafe.svc.cluster.local/",
            "http://shop-0.shop.cafe.svc/",
            "http://SHOP.cafe.svc./",
        ] {
            assert_eq!(check(&cluster(), url), Ok(Grounds::OwnNamespace), "{url}");
        }
        for url in [
            "http://shop.other.svc/",
            "https://shop.other.svc/",
            "http://cafe.svc/",
            "http://shop.cafe.other.svc/",
            "http://kubernetes.default.svc.cluster.local/",
        ] {
            assert_eq!(check(&cluster(), url), Err(Reason::OtherNamespace), "{url}");
        }
        assert_eq!(
            check(&cluster(), "https://shop.cafe.svc.example/"),
            Ok(Grounds::Https)
        );
        assert_eq!(
            check(&cluster(), "http://shop-tools:8000/"),
            Err(Reason::ShortName)
        );
        assert_eq!(
            check(&Policy::default(), "http://shop.cafe.svc/"),
            Err(Reason::OtherNamespace)
        );
    }

    #[test]
    fn the_admins_word_opens_hosts_by_name() {
        for url in [
            "http://crm.shared.svc/",
            "http://crm.shared.svc.cluster.local/",
            "http://a.b.shared.svc/",
            "http://erp.corp.example/",
            "https://ERP.corp.example/",
        ] {
            assert_eq!(check(&cluster(), url), Ok(Grounds::AllowedHost), "{url}");
        }
        assert_eq!(
            check(&cluster(), "http://shared.svc/"),
            Err(Reason::OtherNamespace)
        );
        assert_eq!(
            check(&cluster(), "https://notshared.svc/"),
            Err(Reason::OtherNamespace)
        );
    }

    #[test]
    fn a_name_that_resolves_elsewhere_is_refused_at_the_address() {
        let policy = cluster();
        let refused = |url: &str, address: &str| {
            let target = policy.check_url(&Url::parse(url).unwrap()).unwrap();
            policy
                .check_address(&target, address.parse().unwrap())
                .err()
                .map(|refusal| refusal.reason)
        };
        assert_eq!(refused("https://api.example/", "93.184.216.34"), None);
        assert_eq!(
            refused("https://api.example/", "10.0.0.1"),
            Some(Reason::PrivateAddress)
        );
        assert_eq!(refused("https://api.example/", "10.20.1.1"), None);
        assert_eq!(
            refused("https://api.example/", "127.0.0.1"),
            Some(Reason::LoopbackAddress)
        );
        assert_eq!(
            refused("https://api.example/", "169.254.169.254"),
            Some(Reason::ForbiddenAddress)
        );
        assert_eq!(
            refused("http://api.example/", "93.184.216.34"),
            Some(Reason::OutsideAllowedNetworks)
        );
        assert_eq!(refused("http://api.example/", "10.20.1.1"), None);
        assert_eq!(refused("http://shop.cafe.svc/", "10.96.7.7"), None);
        assert_eq!(
            refused("http://shop.cafe.svc/", "127.0.0.1"),
            Some(Reason::LoopbackAddress)
        );
        assert_eq!(
            refused("http://shop.cafe.svc/", "169.254.169.254"),
            Some(Reason::ForbiddenAddress)
        );
        assert_eq!(refused("http://erp.corp.example/", "192.168.7.7"), None);
        assert_eq!(
            refused("http://erp.corp.example/", "::ffff:169.254.169.254"),
            Some(Reason::ForbiddenAddress)
        );
    }

    #[test]
    fn a_refusal_names_the_host_and_what_to_do() {
        let refusal = cluster()
            .check_url(&Url::parse("http://crm.other.svc/").unwrap())
            .unwrap_err();
        let text = refusal.to_string();
        assert!(
            text.contains("crm.other.svc") && text.contains("network.allow.hosts"),
            "{text}"
        );
    }

    #[test]
    fn a_policy_is_read_back_as_it_was_written() {
        let written = serde_json::to_string(&cluster()).unwrap();
        assert_eq!(serde_json::from_str::<Policy>(&written).unwrap(), cluster());
        assert_eq!(
            serde_json::from_str::<Policy>("{}").unwrap(),
            Policy::default()
        );
    }
}
