//! What the operator is started with.

use clap::Parser;
use eywa_guard::Policy;
use ipnet::IpNet;
use k8s_openapi::api::core::v1::ResourceRequirements;
use std::net::SocketAddr;

/// Watches Spirits, Conduits, Vigils and Rites, and runs the Spirits.
#[derive(Clone, Debug, Parser)]
#[command(name = "eywa-operator", version)]
pub struct Settings {
    /// Where /livez, /readyz and /metrics are served.
    #[arg(long, env = "EYWA_LISTEN", default_value = "0.0.0.0:8080")]
    pub listen: SocketAddr,

    /// A namespace to watch; can be given more than once. Without it, all of them.
    #[arg(
        long = "watch-namespace",
        env = "EYWA_WATCH_NAMESPACES",
        value_delimiter = ',',
        value_name = "NAMESPACE"
    )]
    pub watch_namespaces: Vec<String>,

    /// How many objects of one kind are reconciled at the same time.
    #[arg(long, env = "EYWA_CONCURRENCY", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub concurrency: u16,

    /// The image of runtime pods, for Spirits that do not name one.
    #[arg(long, env = "EYWA_RUNTIME_IMAGE", default_value = concat!("eywa-runtime:", env!("CARGO_PKG_VERSION")))]
    pub runtime_image: String,

    /// The resources of runtime pods, for Spirits that do not say, as JSON: {"requests":{…},"limits":{…}}.
    #[arg(long, env = "EYWA_RUNTIME_RESOURCES", value_parser = resources, value_name = "JSON")]
    pub runtime_resources: Option<ResourceRequirements>,

    /// A Secret in the operator's namespace with the URL of the Redis for Spirits without stores.
    #[arg(long, env = "EYWA_DEFAULT_REDIS_SECRET", value_name = "NAME")]
    pub default_redis_secret: Option<String>,

    /// The key of that Secret.
    #[arg(
        long,
        env = "EYWA_DEFAULT_REDIS_KEY",
        default_value = "url",
        value_name = "KEY"
    )]
    pub default_redis_key: String,

    /// A private network that manifests may point at; can be given more than once.
    #[arg(
        long = "allow-cidr",
        env = "EYWA_ALLOW_CIDRS",
        value_delimiter = ',',
        value_name = "CIDR"
    )]
    pub allow_cidrs: Vec<IpNet>,

    /// A private host that manifests may point at, such as *.shared.svc; can be given more than once.
    #[arg(
        long = "allow-host",
        env = "EYWA_ALLOW_HOSTS",
        value_delimiter = ',',
        value_name = "HOST"
    )]
    pub allow_hosts: Vec<String>,

    /// The cluster's DNS domain.
    #[arg(long, env = "EYWA_CLUSTER_DOMAIN", default_value = "cluster.local")]
    pub cluster_domain: String,

    /// Lead without asking. Only where no second operator can run.
    #[arg(long, env = "EYWA_NO_LEADER_ELECTION")]
    pub no_leader_election: bool,

    /// The Lease that decides which operator leads.
    #[arg(long, env = "EYWA_LEASE_NAME", default_value = "eywa-operator")]
    pub lease_name: String,

    /// The name of this pod: its identity among operators.
    #[arg(long, env = "POD_NAME", default_value = "eywa-operator")]
    pub pod_name: String,

    /// The namespace of this pod: that of the Lease and the default Redis' Secret.
    #[arg(long, env = "POD_NAMESPACE", default_value = "default")]
    pub pod_namespace: String,
}

impl Settings {
    /// Where requests may go that manifests ask for, before a Spirit's own namespace is added.
    #[must_use]
    pub fn network(&self) -> Policy {
        Policy {
            allow_cidrs: self.allow_cidrs.clone(),
            allow_hosts: self.allow_hosts.clone(),
            cluster_domain: self.cluster_domain.clone(),
            ..Policy::default()
        }
    }
}

fn resources(text: &str) -> Result<ResourceRequirements, serde_json::Error> {
    serde_json::from_str(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chart_s_arguments_are_understood() {
        let settings = Settings::try_parse_from([
            "eywa-operator",
            "--watch-namespace=cafe",
            "--watch-namespace=shop",
            r#"--runtime-resources={"limits":{"memory":"256Mi"}}"#,
            "--allow-host=*.shared.svc",
            "--allow-cidr=10.0.0.0/8",
        ])
        .unwrap();
        assert_eq!(settings.watch_namespaces, ["cafe", "shop"]);
        assert_eq!(
            settings.runtime_resources.unwrap().limits.unwrap()["memory"].0,
            "256Mi"
        );
        assert_eq!(
            (settings.allow_hosts.len(), settings.allow_cidrs.len()),
            (1, 1)
        );
    }

    #[test]
    fn a_concurrency_of_zero_which_would_mean_unbounded_is_refused() {
        assert!(Settings::try_parse_from(["eywa-operator", "--concurrency=0"]).is_err());
    }
}
