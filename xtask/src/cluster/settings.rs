//! What each of the cluster's programs is told. Everything here is for one node on one machine
//! that may be a container or a small virtual machine: no systemd, cgroup v1 or v2, no registry.

use std::fs;
use std::path::Path;

use anyhow::Result;
use serde_json::{Value, json};

use super::pki::Pki;

/// The machine's own end of the link to the node: what pods call to reach a server that a test
/// runs outside the cluster.
pub const HOST_IP: &str = "10.87.0.1";
/// The node's end of that link: the API server, the kubelet and the cluster's DNS are here.
pub const NODE_IP: &str = "10.87.0.2";
/// The network of that link.
pub const NODE_PREFIX: u8 = 24;
/// Where pods get their addresses.
pub const POD_NETWORK: &str = "10.88.0.0/24";
/// Where Services get theirs.
pub const SERVICE_NETWORK: &str = "10.96.0.0/16";
/// The address of the Service `default/kubernetes`: the first of [`SERVICE_NETWORK`].
pub const API_SERVICE_IP: &str = "10.96.0.1";
/// The address of the Service `kube-system/kube-dns`; also in `bootstrap.yaml`.
pub const DNS_SERVICE_IP: &str = "10.96.0.10";
/// The name of the only node.
pub const NODE_NAME: &str = "eywa";
/// The name of the link's end in the node's network namespace.
pub const NODE_LINK: &str = "eywa-node";
/// The name of the link's end outside.
pub const HOST_LINK: &str = "eywa-host";
/// What holds a pod's namespaces.
pub const PAUSE_IMAGE: &str = "localhost/pause:1";

/// What the first process of the node does: see `tests/cluster/node`. In its own mount namespace
/// the node has `/run`, `/var/lib` and `/var/log` to itself, so programs keep their usual paths
/// and the machine sees nothing of them.
pub fn plan(state: &Path, bin: &Path) -> Value {
    let state = |path: &str| state.join(path).display().to_string();
    let address = format!("{NODE_IP}/{NODE_PREFIX}");
    let setup = json!([
        ["mount", "--bind", state("run"), "/run"],
        ["mount", "--bind", state("lib"), "/var/lib"],
        ["mount", "--bind", state("log"), "/var/log"],
        ["mount", "--make-rshared", "/"],
        ["ip", "link", "set", "lo", "up"],
        ["ip", "address", "add", address, "dev", NODE_LINK],
        ["ip", "link", "set", NODE_LINK, "up"],
        ["ip", "route", "add", "default", "via", HOST_IP],
        ["sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward"],
        // A Service's answer from a pod on the same bridge must pass the rules that rewrote the
        // question.
        [
            "sh",
            "-c",
            "echo 1 > /proc/sys/net/bridge/bridge-nf-call-iptables"
        ],
    ]);
    let programs: Vec<Value> = programs(bin, &state("etc"), &state("pki"))
        .into_iter()
        .map(|argv| {
            let name = argv[0].rsplit('/').next().unwrap_or_default();
            json!({"name": name, "argv": argv})
        })
        .collect();
    json!({"setup": setup, "programs": programs, "logs": "/var/log"})
}

/// The command line of every program, in the order of their first start.
fn programs(bin: &Path, etc: &str, pki: &str) -> Vec<Vec<String>> {
    let own = |name: &str| bin.join(name).display().to_string();
    let kubeconfig = |name: &str| format!("--kubeconfig={pki}/{name}.kubeconfig");
    vec![
        vec![
            own("etcd"),
            "--data-dir=/var/lib/etcd".into(),
            "--listen-client-urls=http://127.0.0.1:2379".into(),
            "--advertise-client-urls=http://127.0.0.1:2379".into(),
            "--listen-peer-urls=http://127.0.0.1:2380".into(),
            "--log-level=warn".into(),
            // A test cluster is made anew after a crash, so there is nothing to protect.
            "--unsafe-no-fsync".into(),
        ],
        vec![
            "containerd".into(),
            format!("--config={etc}/containerd.toml"),
        ],
        vec![
            own("kube-apiserver"),
            "--etcd-servers=http://127.0.0.1:2379".into(),
            format!("--advertise-address={NODE_IP}"),
            format!("--service-cluster-ip-range={SERVICE_NETWORK}"),
            "--authorization-mode=Node,RBAC".into(),
            "--enable-admission-plugins=NodeRestriction".into(),
            "--allow-privileged=true".into(),
            "--anonymous-auth=false".into(),
            format!("--client-ca-file={pki}/ca.crt"),
            format!("--tls-cert-file={pki}/apiserver.crt"),
            format!("--tls-private-key-file={pki}/apiserver.key"),
            // The node's name does not resolve.
            "--kubelet-preferred-address-types=InternalIP".into(),
            format!("--kubelet-certificate-authority={pki}/ca.crt"),
            format!("--kubelet-client-certificate={pki}/admin.crt"),
            format!("--kubelet-client-key={pki}/admin.key"),
            "--service-account-issuer=https://kubernetes.default.svc.cluster.local".into(),
            format!("--service-account-key-file={pki}/service-accounts.pub"),
            format!("--service-account-signing-key-file={pki}/service-accounts.key"),
        ],
        vec![
            own("kube-controller-manager"),
            kubeconfig("kube-controller-manager"),
            "--leader-elect=false".into(),
            "--use-service-account-credentials=true".into(),
            format!("--root-ca-file={pki}/ca.crt"),
            format!("--service-account-private-key-file={pki}/service-accounts.key"),
        ],
        vec![
            own("kube-scheduler"),
            kubeconfig("kube-scheduler"),
            "--leader-elect=false".into(),
        ],
        vec![
            own("kubelet"),
            kubeconfig("kubelet"),
            format!("--config={etc}/kubelet.yaml"),
            format!("--hostname-override={NODE_NAME}"),
            format!("--node-ip={NODE_IP}"),
        ],
        vec![
            own("kube-proxy"),
            kubeconfig("kube-proxy"),
            "--proxy-mode=iptables".into(),
            format!("--hostname-override={NODE_NAME}"),
            format!("--cluster-cidr={POD_NETWORK}"),
            // The limits are the machine's, and may not be ours to set.
            "--conntrack-max-per-core=0".into(),
        ],
        vec![own("coredns"), "-conf".into(), format!("{etc}/Corefile")],
    ]
}

/// Writes the files that the programs' command lines name.
pub fn write(etc: &Path, pki: &Pki) -> Result<()> {
    fs::create_dir_all(etc.join("cni"))?;
    fs::write(etc.join("containerd.toml"), containerd(etc))?;
    fs::write(etc.join("cni/10-pods.conflist"), cni().to_string())?;
    fs::write(etc.join("kubelet.yaml"), kubelet(etc, pki).to_string())?;
    fs::write(etc.join("Corefile"), corefile(pki))?;
    // Pods that ask for the node's own DNS get none: the machine's would lead outside.
    fs::write(etc.join("resolv.conf"), "# none\n")?;
    Ok(())
}

fn containerd(etc: &Path) -> String {
    format!(
        r#"version = 2
disabled_plugins = ["io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs"]

[plugins."io.containerd.internal.v1.opt"]
path = "/var/lib/containerd/opt"

[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "{PAUSE_IMAGE}"
# Lowering the score takes CAP_SYS_RESOURCE, which a container that hosts this may lack.
restrict_oom_score_adj = true

[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "/usr/lib/cni"
conf_dir = "{}"
"#,
        etc.join("cni").display()
    )
}

fn cni() -> Value {
    json!({
        "cniVersion": "0.4.0",
        "name": "eywa-pods",
        "plugins": [{
            "type": "bridge",
            "bridge": "eywa-pods",
            "isDefaultGateway": true,
            // A pod may be behind the Service that it calls.
            "hairpinMode": true,
            // The machine routes to pods, so it sees them by their own addresses.
            "ipMasq": false,
            "ipam": {"type": "host-local", "ranges": [[{"subnet": POD_NETWORK}]]}
        }]
    })
}

fn kubelet(etc: &Path, pki: &Pki) -> Value {
    json!({
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "containerRuntimeEndpoint": "unix:///run/containerd/containerd.sock",
        "authentication": {
            "anonymous": {"enabled": false},
            "x509": {"clientCAFile": pki.path("ca", "crt")}
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": pki.path("kubelet", "crt"),
        "tlsPrivateKeyFile": pki.path("kubelet", "key"),
        "clusterDomain": "cluster.local",
        "clusterDNS": [DNS_SERVICE_IP],
        "resolvConf": etc.join("resolv.conf"),
        "volumePluginDir": "/var/lib/kubelet/volume-plugins",
        // The machine's cgroups may be v1, without systemd, and not ours to divide.
        "failCgroupV1": false,
        "cgroupDriver": "cgroupfs",
        "cgroupsPerQOS": false,
        "enforceNodeAllocatable": [],
        "failSwapOn": false,
        // A full disk is the machine's matter: it must not evict the pods under test.
        "evictionHard": {"memory.available": "50Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
        // A changed ConfigMap or Secret reaches a mounted volume at the next sync of the pod.
        "syncFrequency": "5s"
    })
}

fn corefile(pki: &Pki) -> String {
    format!(
        "cluster.local:53 in-addr.arpa:53 {{
    errors
    cache 5
    kubernetes cluster.local in-addr.arpa {{
        kubeconfig {} eywa
        ttl 5
    }}
}}
",
        pki.path("coredns", "kubeconfig").display()
    )
}
