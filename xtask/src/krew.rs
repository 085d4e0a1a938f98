//! `cargo xtask krew`: the manifest by which krew installs the plugin, filled in for a release.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::paths;

/// Writes `FOLDER/eywa.yaml` from the template and the archives in the folder.
pub fn task(arguments: &[String]) -> Result<()> {
    let [folder, url] = arguments else {
        bail!(
            "name the folder with the release's archives, and the URL that they are downloaded from"
        );
    };
    let folder = Path::new(folder);
    let template = paths::root().join("cli/krew/eywa.yaml");
    let template = fs::read_to_string(&template)
        .with_context(|| format!("{} cannot be read", template.display()))?;
    let filled = fill(&template, &version()?, url, |archive| {
        let archive = folder.join(archive);
        archive.is_file().then(|| sha256(&archive)).transpose()
    })?;
    let manifest = folder.join("eywa.yaml");
    fs::write(&manifest, filled)
        .with_context(|| format!("{} cannot be written", manifest.display()))?;
    println!("{}", manifest.display());
    Ok(())
}

/// Fills the template in. `sha256` gives an archive's digest, or none when there is no such archive.
fn fill(
    template: &str,
    version: &str,
    url: &str,
    sha256: impl Fn(&str) -> Result<Option<String>>,
) -> Result<String> {
    // What stands above the manifest is about the template.
    let start = template
        .find("apiVersion:")
        .context("the template has no apiVersion")?;
    let (head, platforms) = template[start..]
        .split_once("  platforms:\n")
        .context("the template has no platforms")?;
    let mut filled = head.replace("${version}", version) + "  platforms:\n";
    let mut any = false;
    for platform in platforms.split_inclusive("bin: eywa\n") {
        let archive = between(platform, "${sha256 ", "}").context("a platform has no archive")?;
        if let Some(digest) = sha256(archive)? {
            let digested = platform.replace(&format!("${{sha256 {archive}}}"), &digest);
            filled += &digested.replace("${url}", url.trim_end_matches('/'));
            any = true;
        }
    }
    if !any {
        bail!("there is no archive of any platform; the template says what they are called");
    }
    Ok(filled)
}

fn between<'a>(text: &'a str, from: &str, to: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(from)?;
    rest.split_once(to).map(|(between, _)| between)
}

/// The workspace's version.
fn version() -> Result<String> {
    let manifest = fs::read_to_string(paths::root().join("Cargo.toml"))?;
    let version = between(&manifest, "version = \"", "\"");
    Ok(version.context("Cargo.toml names no version")?.to_owned())
}

fn sha256(file: &Path) -> Result<String> {
    let summed = Command::new("sha256sum").arg(file).output();
    let summed = summed.context("sha256sum cannot be run; it is part of coreutils")?;
    let text = String::from_utf8_lossy(&summed.stdout).into_owned();
    match text.split_whitespace().next() {
        Some(digest) if summed.status.success() => Ok(digest.trim_start_matches('\\').to_owned()),
        _ => bail!("{} cannot be summed", file.display()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEMPLATE: &str = include_str!("../../cli/krew/eywa.yaml");

    #[test]
    fn the_manifest_has_the_platforms_that_there_are_archives_of_and_nothing_left_to_fill_in() {
        let url = "https://downloads.example/v1/";
        let filled = fill(TEMPLATE, "1.2.3", url, |archive| {
            Ok((archive == "eywa-linux-arm64.tar.gz").then(|| "0f".repeat(32)))
        })
        .unwrap_or_else(|error| panic!("{error:#}"));
        assert!(filled.starts_with("apiVersion: krew"), "{filled}");
        assert!(filled.contains("version: v1.2.3\n"), "{filled}");
        assert!(
            filled.contains("uri: https://downloads.example/v1/eywa-linux-arm64.tar.gz\n"),
            "{filled}"
        );
        assert!(
            !filled.contains("amd64") && !filled.contains("${"),
            "{filled}"
        );
    }

    #[test]
    fn without_archives_there_is_no_manifest() {
        assert!(fill(TEMPLATE, "1.2.3", "https://x.example", |_| Ok(None)).is_err());
    }

    #[test]
    fn the_workspace_names_its_version() {
        assert!(version().is_ok_and(|version| version.split('.').count() == 3));
    }
}
