//! Eywa's development tasks: `cargo xtask` lists them.

mod bench;
mod cluster;
mod features;
mod generate;
mod images;
mod krew;
mod page;
mod paths;
mod process;
mod suites;
mod tools;

use std::process::ExitCode;

use anyhow::Result;

struct Task {
    name: &'static str,
    /// What may follow the name.
    arguments: &'static str,
    summary: &'static str,
    run: fn(&[String]) -> Result<()>,
}

const TASKS: [Task; 9] = [
    Task {
        name: "test",
        arguments: "",
        summary: "run every suite, the one on the real cluster too; installs what they need",
        run: suites::test,
    },
    Task {
        name: "ci",
        arguments: "",
        summary: "all that must pass: format, lints, features, generated files and every suite",
        run: suites::ci,
    },
    Task {
        name: "cluster",
        arguments: "up|down|status",
        summary: "a real Kubernetes on this machine; writes target/cluster/kubeconfig",
        run: cluster::task,
    },
    Task {
        name: "images",
        arguments: "[NAME...]",
        summary: "build the images eywa-*:dev, or only these, and load them into the cluster",
        run: images::task,
    },
    Task {
        name: "generate",
        arguments: "[--check]",
        summary: "write the generated files, or fail when one is stale",
        run: generate::task,
    },
    Task {
        name: "features",
        arguments: "",
        summary: "lint each cargo feature alone",
        run: features::task,
    },
    Task {
        name: "bench",
        arguments: "",
        summary: "what a Pulse costs, beside the floor of the same trips without logic",
        run: bench::task,
    },
    Task {
        name: "krew",
        arguments: "FOLDER URL",
        summary: "write krew's manifest of the kubectl plugin for the archives of a release",
        run: krew::task,
    },
    Task {
        name: "tools",
        arguments: "",
        summary: "install the programs that the tests call, or name those that are missing",
        run: tools::task,
    },
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some((name, rest)) = arguments.split_first() else {
        list();
        return ExitCode::SUCCESS;
    };
    let Some(task) = TASKS.iter().find(|task| task.name == name) else {
        eprintln!("there is no task {name:?}; the tasks are:");
        list();
        return ExitCode::FAILURE;
    };
    match (task.run)(rest) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cargo xtask {name}: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn list() {
    for task in &TASKS {
        let usage = format!("{} {}", task.name, task.arguments);
        println!("cargo xtask {usage:24} {}", task.summary);
    }
}
