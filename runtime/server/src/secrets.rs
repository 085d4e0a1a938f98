//! Where secret values come from.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Read},
    path::PathBuf,
    sync::Arc,
};

use eywa_crds::runtime_config::SecretFile;
use secrecy::SecretString;

/// The most bytes of one value; Kubernetes keeps at most 1 MiB in a whole Secret.
const LONGEST: u64 = 64 * 1024;

/// Looks secret values up.
pub trait Secrets {
    /// The value of one key of one Secret.
    ///
    /// # Errors
    /// [`MissingSecret`], which names the Secret and the key.
    fn get(&self, of: &SecretFile) -> Result<SecretString, MissingSecret>;

    /// The same, for those that look a value up again later: a mounted one may have been rotated.
    fn lasting(&self) -> Arc<dyn Secrets + Send + Sync>;
}

/// A secret value cannot be had.
#[derive(Debug, thiserror::Error)]
#[error("the {of} cannot be read: {reason}")]
pub struct MissingSecret {
    /// Which.
    pub of: SecretFile,
    /// Why, and what to do.
    pub reason: String,
}

/// Secrets that are mounted below a folder, as `<folder>/<Secret>/<key>`.
#[derive(Clone, Debug)]
pub struct MountedSecrets(pub PathBuf);

impl Secrets for MountedSecrets {
    fn get(&self, of: &SecretFile) -> Result<SecretString, MissingSecret> {
        let path = of.path(&self.0);
        let missing = |reason| MissingSecret {
            of: of.clone(),
            reason,
        };
        let mut value = String::new();
        let read =
            File::open(&path).and_then(|file| file.take(LONGEST + 1).read_to_string(&mut value));
        match read {
            Ok(_) if value.len() as u64 > LONGEST => {
                Err(missing(format!("it is longer than {LONGEST} bytes")))
            }
            // A newline at the end is an editor's, never the key's.
            Ok(_) => Ok(SecretString::from(value.trim_end_matches(['\r', '\n']))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(missing(format!(
                "there is no file {}: mount the Secret there",
                path.display()
            ))),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                Err(missing("it is not text".to_owned()))
            }
            Err(error) => Err(missing(format!("{}: {error}", path.display()))),
        }
    }

    fn lasting(&self) -> Arc<dyn Secrets + Send + Sync> {
        Arc::new(self.clone())
    }
}

/// Secrets that are held in memory: those of manifests, and of tests.
#[derive(Clone, Debug, Default)]
pub struct HeldSecrets(pub BTreeMap<SecretFile, SecretString>);

impl Secrets for HeldSecrets {
    fn get(&self, of: &SecretFile) -> Result<SecretString, MissingSecret> {
        let reason = "no such Secret was given: add it, with that key";
        self.0.get(of).cloned().ok_or_else(|| MissingSecret {
            of: of.clone(),
            reason: reason.to_owned(),
        })
    }

    fn lasting(&self) -> Arc<dyn Secrets + Send + Sync> {
        Arc::new(self.clone())
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;

    fn key() -> SecretFile {
        SecretFile {
            name: "openai".to_owned(),
            key: "api-key".to_owned(),
        }
    }

    #[test]
    fn a_mounted_key_is_read_without_its_last_newline() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("openai")).unwrap();
        std::fs::write(folder.path().join("openai/api-key"), "not-a-real-key\n").unwrap();
        let value = MountedSecrets(folder.path().to_owned())
            .get(&key())
            .unwrap();
        assert_eq!(value.expose_secret(), "not-a-real-key");
    }

    #[test]
    fn a_key_that_was_rotated_is_read_anew_by_whoever_keeps_the_secrets() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("openai")).unwrap();
        let file = folder.path().join("openai/api-key");
        std::fs::write(&file, "not-a-real-key").unwrap();
        let kept = MountedSecrets(folder.path().to_owned()).lasting();
        std::fs::write(&file, "not-a-real-key-either").unwrap();
        let value = kept.get(&key()).unwrap();
        assert_eq!(value.expose_secret(), "not-a-real-key-either");
    }

    #[test]
    fn a_missing_key_is_named_with_its_secret() {
        let folder = tempfile::tempdir().unwrap();
        let mounted = MountedSecrets(folder.path().to_owned());
        for missing in [
            mounted.get(&key()).unwrap_err(),
            HeldSecrets::default().get(&key()).unwrap_err(),
        ] {
            let error = missing.to_string();
            assert!(
                error.contains("openai") && error.contains("api-key"),
                "{error}"
            );
        }
    }

    #[test]
    fn what_is_no_text_or_too_long_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("openai")).unwrap();
        let mounted = MountedSecrets(folder.path().to_owned());
        for content in [vec![0xff, 0xfe], vec![b'a'; 70_000]] {
            std::fs::write(folder.path().join("openai/api-key"), content).unwrap();
            assert!(mounted.get(&key()).is_err());
        }
    }
}
