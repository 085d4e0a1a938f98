//! Conduits: where their servers are, and which tools are let through.

use super::{
    ConditionType, Problem, ProblemReason, Problems, Surroundings,
    address::Addresses,
    conduit_service_name, references,
    secrets::{check_secrets, secret_headers},
};
use crate::{conduit::Conduit, runtime_config::CompiledConduit};

pub(super) fn resolve_conduit(
    name: &str,
    conduit: &Conduit,
    uses: Vec<String>,
    around: &Surroundings,
    addresses: &Addresses<'_>,
    condition: ConditionType,
) -> Result<CompiledConduit, Vec<Problem>> {
    let mut problems = Problems::of("Conduit", name, condition);
    let spec = &conduit.spec;
    let (field, written) = match (&spec.url, &spec.server) {
        (Some(url), None) => ("spec.url", url.clone()),
        (None, Some(server)) => {
            let service = conduit_service_name(name);
            (
                "spec.server",
                format!("http://{service}:{}{}", server.port, server.path),
            )
        }
        _ => {
            problems.push(
                "spec",
                ProblemReason::SpecInvalid,
                "exactly one of url and server is needed",
            );
            return Err(problems.into_found());
        }
    };
    let url = match addresses.url(&written) {
        Ok(url) => url,
        Err((reason, message)) => {
            problems.push(field, reason, message);
            written
        }
    };
    check_secrets(
        references::headers("spec.headersFrom", &spec.headers_from),
        around,
        &mut problems,
    );
    let found = problems.into_found();
    if !found.is_empty() {
        return Err(found);
    }
    Ok(CompiledConduit {
        name: name.to_owned(),
        url,
        headers: secret_headers(&spec.headers_from),
        tools: spec.tools.clone(),
        uses,
        timeout: spec.timeout,
    })
}
