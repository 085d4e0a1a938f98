//! Writes the CustomResourceDefinitions into the chart, or, with `--check`, says whether they are what it would write.

use std::{fs, path::PathBuf, process::ExitCode};

use eywa_crds::definitions::{definitions, in_chart};

fn main() -> ExitCode {
    let check = match std::env::args().nth(1).as_deref() {
        None => false,
        Some("--check") => true,
        Some(other) => {
            eprintln!("crdgen: {other:?} is not known; there is --check");
            return ExitCode::from(2);
        }
    };
    match generate(check) {
        Ok(stale) if stale.is_empty() => ExitCode::SUCCESS,
        Ok(stale) => {
            for file in stale {
                eprintln!("crdgen: {} is stale", file.display());
            }
            eprintln!(
                "crdgen: run `cargo run -p eywa-crds --bin crdgen` and commit what it writes"
            );
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("crdgen: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Writes what is stale; with `check`, only names it.
fn generate(check: bool) -> Result<Vec<PathBuf>, Box<dyn std::error::Error>> {
    let mut stale = Vec::new();
    for definition in definitions()? {
        let file = in_chart(definition.plural);
        let yaml = definition.to_yaml()?;
        if fs::read_to_string(&file).is_ok_and(|written| written == yaml) {
            continue;
        }
        if check {
            stale.push(file);
            continue;
        }
        if let Some(folder) = file.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(&file, yaml)?;
        println!("wrote {}", file.display());
    }
    Ok(stale)
}
