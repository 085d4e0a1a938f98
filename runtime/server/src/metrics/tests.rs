use std::time::Duration;

use eywa_weave::{
    SpiritName, VoiceName,
    observe::{BondOutcome, Event, Observer, Stage},
    ports::{inbox::Depth, oracle::Usage, vigil::Phase},
    pulse::Outcome,
};

use super::Metrics;

fn barista() -> (Metrics, SpiritName, VoiceName) {
    (
        Metrics::new().unwrap(),
        SpiritName::from("barista"),
        VoiceName::from("wa"),
    )
}

#[test]
fn every_metric_of_the_contract_has_its_name_and_its_labels() {
    let (metrics, spirit, voice) = barista();
    let observer = metrics.observer(&spirit, [&voice]);
    let took = Duration::from_millis(20);
    observer.observe(Event::Scout {
        spirit: &spirit,
        scout: "crm",
        outcome: "found",
    });
    observer.observe(Event::Action {
        spirit: &spirit,
        action: "place_order",
        outcome: "succeeded",
        took,
    });
    let usage = Some(Usage {
        input: 10,
        output: 5,
        cached: 0,
        cache_write: 0,
    });
    observer.observe(Event::Breaker {
        provider: "openai",
        model: "gpt-5-mini",
        open: true,
    });
    observer.observe(Event::Oracle {
        provider: "openai",
        model: "gpt-5-mini",
        took,
        usage,
        error: None,
    });
    metrics.inbox(
        &spirit,
        Some(Depth {
            pulses: 3,
            oldest: Duration::from_millis(1500),
        }),
    );
    let text = metrics.render().unwrap();
    for series in [
        r#"eywa_pulses_total{outcome="answered",spirit="barista",voice="wa"} 0"#,
        r#"eywa_pulse_duration_seconds_count{spirit="barista",voice="wa"} 0"#,
        r#"eywa_weave_overhead_seconds_count{spirit="barista",voice="wa"} 0"#,
        r#"eywa_stage_duration_seconds_count{spirit="barista",stage="oracle"} 0"#,
        r#"eywa_bond_acquisitions_total{outcome="held",spirit="barista"} 0"#,
        r#"eywa_bond_hold_seconds_count{spirit="barista"} 0"#,
        r#"eywa_bond_lost_total{spirit="barista"} 0"#,
        r#"eywa_scout_harvests_total{outcome="found",scout="crm",spirit="barista"} 1"#,
        r#"eywa_action_calls_total{action="place_order",outcome="succeeded",spirit="barista"} 1"#,
        r#"eywa_action_duration_seconds_count{action="place_order",outcome="succeeded",spirit="barista"} 1"#,
        r#"eywa_vigils{phase="Active",spirit="barista"} 0"#,
        r#"eywa_vigil_requests_total{reason="agent",spirit="barista"} 0"#,
        r#"eywa_vigil_requests_total{reason="budget",spirit="barista"} 0"#,
        r#"eywa_vigil_takeover_seconds_count{spirit="barista"} 0"#,
        r#"eywa_inbox_pulses{spirit="barista"} 3"#,
        r#"eywa_inbox_oldest_seconds{spirit="barista"} 1.5"#,
        r#"eywa_voice_messages_total{outcome="delivered",spirit="barista",voice="wa"} 0"#,
        r#"eywa_voice_messages_total{outcome="read",spirit="barista",voice="wa"} 0"#,
        r#"gen_ai_client_operation_duration_seconds_count{error_type="",gen_ai_operation_name="chat",gen_ai_provider_name="openai",gen_ai_request_model="gpt-5-mini"} 1"#,
        r#"gen_ai_client_token_usage_sum{gen_ai_operation_name="chat",gen_ai_provider_name="openai",gen_ai_request_model="gpt-5-mini",gen_ai_token_type="input"} 10"#,
        r#"gen_ai_client_token_usage_bucket{gen_ai_operation_name="chat",gen_ai_provider_name="openai",gen_ai_request_model="gpt-5-mini",gen_ai_token_type="output",le="16"} 1"#,
        r#"eywa_oracle_circuit_open{gen_ai_provider_name="openai",gen_ai_request_model="gpt-5-mini"} 1"#,
        r#"eywa_build_info{commit="#,
    ] {
        assert!(text.contains(series), "{series} is missing from\n{text}");
    }
}

#[test]
fn a_pulse_counts_once_under_its_outcome() {
    let (metrics, spirit, voice) = barista();
    let observer = metrics.observer(&spirit, [&voice]);
    let pulse = |outcome| Event::Pulse {
        spirit: &spirit,
        voice: &voice,
        outcome,
        took: Duration::from_secs(1),
        own: Duration::from_millis(1),
    };
    observer.observe(pulse(Outcome::Answered));
    observer.observe(pulse(Outcome::Busy));
    observer.observe(pulse(Outcome::Duplicate));
    observer.observe(Event::Bond {
        spirit: &spirit,
        outcome: BondOutcome::Held,
    });
    observer.observe(Event::Stage {
        spirit: &spirit,
        stage: Stage::Record,
        took: Duration::from_millis(2),
    });
    observer.observe(Event::Voice {
        spirit: &spirit,
        voice: &voice,
        outcome: "failed",
    });
    let text = metrics.render().unwrap();
    for series in [
        r#"eywa_pulses_total{outcome="answered",spirit="barista",voice="wa"} 1"#,
        r#"eywa_pulses_total{outcome="busy",spirit="barista",voice="wa"} 1"#,
        r#"eywa_pulses_total{outcome="duplicate",spirit="barista",voice="wa"} 1"#,
        r#"eywa_pulses_total{outcome="failed",spirit="barista",voice="wa"} 0"#,
        r#"eywa_pulse_duration_seconds_count{spirit="barista",voice="wa"} 2"#,
        r#"eywa_bond_acquisitions_total{outcome="held",spirit="barista"} 1"#,
        r#"eywa_stage_duration_seconds_count{spirit="barista",stage="record"} 1"#,
        r#"eywa_stage_duration_seconds_count{spirit="barista",stage="accept"} 0"#,
        r#"eywa_voice_messages_total{outcome="failed",spirit="barista",voice="wa"} 1"#,
    ] {
        assert!(text.contains(series), "{series} is missing from\n{text}");
    }
}

#[test]
fn an_inbox_that_cannot_be_read_shows_nothing_rather_than_an_old_number() {
    let (metrics, spirit, _) = barista();
    metrics.inbox(
        &spirit,
        Some(Depth {
            pulses: 3,
            oldest: Duration::ZERO,
        }),
    );
    metrics.inbox(&spirit, None);
    assert!(!metrics.render().unwrap().contains("eywa_inbox_pulses{"));
}

#[test]
fn names_that_a_model_makes_up_cannot_grow_the_metrics_without_end() {
    let (metrics, spirit, voice) = barista();
    let observer = metrics.observer(&spirit, [&voice]);
    for made_up in 0..1000 {
        let (action, took) = (format!("tool_{made_up}"), Duration::ZERO);
        observer.observe(Event::Action {
            spirit: &spirit,
            action: &action,
            outcome: "refused",
            took,
        });
    }
    let series = metrics
        .render()
        .unwrap()
        .lines()
        .filter(|line| line.starts_with("eywa_action_calls_total{"))
        .count();
    assert_eq!(series, 257, "256 names and the one for all others");
}

#[test]
fn a_vigil_is_counted_in_one_phase_at_a_time() {
    let (metrics, spirit, _) = barista();
    metrics.vigil_moved(&spirit, None, Some(Phase::Watching));
    metrics.vigil_moved(&spirit, Some(Phase::Watching), Some(Phase::Active));
    let text = metrics.render().unwrap();
    assert!(
        text.contains(r#"eywa_vigils{phase="Watching",spirit="barista"} 0"#),
        "{text}"
    );
    assert!(
        text.contains(r#"eywa_vigils{phase="Active",spirit="barista"} 1"#),
        "{text}"
    );
}

#[test]
fn what_is_drawn_from_conversations_is_counted_from_zero() {
    use eywa_weave::observe::Remembered;

    let (metrics, spirit, voice) = barista();
    let observer = metrics.observer(&spirit, [&voice]);
    assert!(!metrics.render().unwrap().contains("eywa_imprint"));
    metrics.remembers(&spirit);
    let zero = metrics.render().unwrap();
    assert!(
        zero.contains(r#"eywa_imprint_extractions_total{outcome="given_up",spirit="barista"} 0"#),
        "{zero}"
    );
    observer.observe(Event::Imprint {
        spirit: &spirit,
        outcome: Remembered::Learnt,
        learnt: 2,
        forgotten: 1,
        refused: 3,
        usage: Usage {
            input: 40,
            output: 7,
            ..Usage::default()
        },
    });
    let text = metrics.render().unwrap();
    for line in [
        r#"eywa_imprint_extractions_total{outcome="learnt",spirit="barista"} 1"#,
        r#"eywa_imprint_facts_total{change="learnt",spirit="barista"} 2"#,
        r#"eywa_imprint_facts_total{change="forgotten",spirit="barista"} 1"#,
        r#"eywa_imprint_facts_total{change="refused",spirit="barista"} 3"#,
        r#"eywa_imprint_tokens_total{spirit="barista",type="input"} 40"#,
        r#"eywa_imprint_tokens_total{spirit="barista",type="output"} 7"#,
    ] {
        assert!(text.contains(line), "{line} is missing of:\n{text}");
    }
}
