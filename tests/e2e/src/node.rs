//! The processes of pods, as the machine under the cluster sees them.

use std::{fs, process::Command};

/// Kills every process of a container, at once and without a word to it.
///
/// # Panics
/// When its processes cannot be seen from here, as on a cluster of other machines.
pub fn kill_container(container_id: &str) {
    let id = container_id.rsplit('/').next().unwrap_or(container_id);
    let processes = processes_of(id);
    assert!(
        !processes.is_empty(),
        "no process of container {id} is seen from here: the node must run on this machine"
    );
    let killed = Command::new("kill").arg("-KILL").args(&processes).status();
    assert!(
        killed.is_ok_and(|status| status.success()),
        "processes {processes:?} could not be killed"
    );
}

fn processes_of(container: &str) -> Vec<String> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| name.bytes().all(|digit| digit.is_ascii_digit()))
        .filter(|process| {
            fs::read_to_string(format!("/proc/{process}/cgroup"))
                .is_ok_and(|groups| groups.contains(container))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_found_by_its_control_group() {
        let own = fs::read_to_string("/proc/self/cgroup").unwrap();
        let own = own.lines().next().unwrap();
        assert!(processes_of(own).contains(&std::process::id().to_string()));
        assert!(processes_of("no-such-container").is_empty());
    }
}
