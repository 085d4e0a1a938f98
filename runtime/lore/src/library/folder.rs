//! Files of a folder.

use std::{
    fs, io,
    io::Read as _,
    path::{Path, PathBuf},
};

use crate::documents::{LARGEST, Unread};

/// The most files of a folder: more are likely the wrong folder.
pub const MOST_FILES: usize = 20_000;

/// The files of a folder and of those below it, each with its path from there, written with `/`, in the order of these.
/// What begins with a dot is left out, and folders behind symbolic links are not entered.
///
/// # Errors
/// When a folder cannot be read, or has more than [`MOST_FILES`].
pub fn files(folder: &Path) -> io::Result<Vec<(String, PathBuf)>> {
    let mut found = Vec::new();
    let mut folders = vec![(String::new(), folder.to_owned())];
    while let Some((prefix, folder)) = folders.pop() {
        let naming = |error: io::Error| {
            io::Error::new(error.kind(), format!("{}: {error}", folder.display()))
        };
        for entry in fs::read_dir(&folder).map_err(naming)? {
            let entry = entry.map_err(naming)?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.starts_with('.') {
                continue;
            }
            let (source, path) = (format!("{prefix}{name}"), entry.path());
            if entry.file_type().map_err(naming)?.is_dir() {
                folders.push((format!("{source}/"), path));
            } else if path.is_file() {
                found.push((source, path));
            }
            if found.len() > MOST_FILES {
                return Err(io::Error::other(format!(
                    "there are more than {MOST_FILES} files: bring them in by folders of their own"
                )));
            }
        }
    }
    found.sort();
    Ok(found)
}

/// Reads a file, up to a limit.
pub(super) async fn content(path: PathBuf) -> Result<Vec<u8>, Unread> {
    let read = move || {
        let mut bytes = Vec::new();
        fs::File::open(&path)
            .and_then(|file| file.take(LARGEST as u64 + 1).read_to_end(&mut bytes))
            .map_err(Unread::failed)?;
        Ok(bytes)
    };
    tokio::task::spawn_blocking(read)
        .await
        .unwrap_or_else(|_| Err(Unread::failed("it cannot be read")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_found_below_and_in_order_and_hidden_ones_not() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir_all(at("b/c")).unwrap();
        fs::create_dir(at(".git")).unwrap();
        for file in ["z.md", "b/c/a.txt", ".git/config", ".hidden.md"] {
            fs::write(at(file), "x").unwrap();
        }
        std::os::unix::fs::symlink(folder.path(), at("b/loop")).unwrap();
        std::os::unix::fs::symlink(at("z.md"), at("b/link.md")).unwrap();
        let found: Vec<String> = files(folder.path())
            .unwrap()
            .into_iter()
            .map(|(source, _)| source)
            .collect();
        assert_eq!(found, ["b/c/a.txt", "b/link.md", "z.md"]);
    }

    #[test]
    fn a_folder_that_is_not_there_is_named() {
        let error = files(Path::new("/no/such/folder")).unwrap_err();
        assert!(error.to_string().contains("/no/such/folder"), "{error}");
    }
}
