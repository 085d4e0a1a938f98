//! The cluster's certificates: one authority, an identity per program, made anew for each cluster.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use super::settings::{API_SERVICE_IP, NODE_IP, NODE_NAME};
use crate::process;

/// The folder of the certificates, keys and kubeconfigs.
pub struct Pki {
    folder: PathBuf,
}

impl Pki {
    /// Makes every certificate and kubeconfig of a cluster in `folder`.
    pub fn create(folder: PathBuf) -> Result<Self> {
        fs::create_dir_all(&folder)?;
        let pki = Self { folder };
        pki.authority()?;
        pki.issue("apiserver", "/CN=kube-apiserver", Some(&api_names()))?;
        let node = format!("/O=system:nodes/CN=system:node:{NODE_NAME}");
        let node_names = format!("DNS:{NODE_NAME},IP:{NODE_IP}");
        pki.issue("kubelet", &node, Some(&node_names))?;
        pki.issue("admin", "/O=system:masters/CN=admin", None)?;
        for program in ["kube-controller-manager", "kube-scheduler", "kube-proxy"] {
            pki.issue(program, &format!("/CN=system:{program}"), None)?;
        }
        pki.issue("coredns", "/CN=system:coredns", None)?;
        pki.service_account_keys()?;
        for user in [
            "admin",
            "coredns",
            "kubelet",
            "kube-controller-manager",
            "kube-proxy",
            "kube-scheduler",
        ] {
            fs::write(pki.path(user, "kubeconfig"), pki.kubeconfig(user)?)?;
        }
        Ok(pki)
    }

    /// The file of this name and kind: `crt`, `key` or `kubeconfig`.
    pub fn path(&self, name: &str, kind: &str) -> PathBuf {
        self.folder.join(format!("{name}.{kind}"))
    }

    fn authority(&self) -> Result<()> {
        process::feed(
            openssl_req()
                .args(["-subj", "/CN=eywa-cluster-ca", "-days", "3650"])
                .args(["-addext", "keyUsage=critical,keyCertSign,digitalSignature"])
                .arg("-keyout")
                .arg(self.path("ca", "key"))
                .arg("-out")
                .arg(self.path("ca", "crt")),
            "",
        )
    }

    fn issue(&self, name: &str, subject: &str, names: Option<&str>) -> Result<()> {
        let mut command = openssl_req();
        command
            .args(["-subj", subject, "-days", "3650"])
            .args(["-addext", "basicConstraints=critical,CA:FALSE"])
            .args(["-addext", "extendedKeyUsage=clientAuth,serverAuth"]);
        if let Some(names) = names {
            command.args(["-addext", &format!("subjectAltName={names}")]);
        }
        command
            .arg("-CA")
            .arg(self.path("ca", "crt"))
            .arg("-CAkey")
            .arg(self.path("ca", "key"))
            .arg("-keyout")
            .arg(self.path(name, "key"))
            .arg("-out")
            .arg(self.path(name, "crt"));
        process::feed(&mut command, "")
    }

    fn service_account_keys(&self) -> Result<()> {
        let key = self.path("service-accounts", "key");
        process::feed(
            Command::new("openssl")
                .args(["genrsa", "-out"])
                .arg(&key)
                .arg("2048"),
            "",
        )?;
        process::feed(
            Command::new("openssl")
                .args(["rsa", "-pubout", "-in"])
                .arg(&key)
                .arg("-out")
                .arg(self.path("service-accounts", "pub")),
            "",
        )
    }

    /// Certificates are in the text itself, so that the file can be copied.
    fn kubeconfig(&self, user: &str) -> Result<String> {
        let ca = base64(&self.path("ca", "crt"))?;
        let certificate = base64(&self.path(user, "crt"))?;
        let key = base64(&self.path(user, "key"))?;
        Ok(format!(
            "apiVersion: v1
kind: Config
current-context: eywa
clusters:
- name: eywa
  cluster:
    server: https://{NODE_IP}:6443
    certificate-authority-data: {ca}
contexts:
- name: eywa
  context: {{cluster: eywa, user: {user}}}
users:
- name: {user}
  user:
    client-certificate-data: {certificate}
    client-key-data: {key}
"
        ))
    }
}

fn api_names() -> String {
    let service = "kubernetes.default.svc.cluster.local";
    format!(
        "DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc,DNS:{service},\
         DNS:localhost,IP:127.0.0.1,IP:{NODE_IP},IP:{API_SERVICE_IP}"
    )
}

fn openssl_req() -> Command {
    let mut command = Command::new("openssl");
    command.args(["req", "-x509", "-nodes", "-newkey", "ec"]);
    command.args(["-pkeyopt", "ec_paramgen_curve:prime256v1"]);
    command
}

fn base64(file: &Path) -> Result<String> {
    process::read(
        Command::new("openssl")
            .args(["base64", "-A", "-in"])
            .arg(file),
    )
}
