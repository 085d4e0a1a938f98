//! A Spirit's limits, with two pods on one Redis: what one counts, the other knows.

use std::{sync::Arc, time::Duration};

use eywa_adapters::{
    bond::RedisBond, chronicle::RedisChronicle, echoes::RedisEchoes, inbox::RedisInbox,
    memory::RedisMemory, oracle::InMemoryOracle, redis::Redis, vigil::RedisVigil,
    voice::InMemoryVoice,
};
use eywa_weave::{
    Pulse, Spirit, Weave, WeaveBuilder,
    ports::{
        Chronicle as _, Oracle,
        oracle::{Reply, Usage},
        voice::{Method, Webhook},
    },
    pulse::Outcome,
    spirit::{Asking, Facts, Limits, NotApplicable, Persona},
};

use super::spirit;
use crate::suites::{pulse, until};

struct Fixed;

impl Persona for Fixed {
    fn render(&self, _: Facts<'_>) -> Result<String, NotApplicable> {
        Ok("You serve coffee.".to_owned())
    }
}

/// A pod whose Oracle uses 100 tokens for each answer.
fn pod(redis: &Redis, limits: Limits) -> Weave {
    let oracle: Arc<dyn Oracle> = Arc::new(InMemoryOracle::new(|_| async {
        Ok(Reply {
            text: "here".to_owned(),
            usage: Usage {
                input: 90,
                output: 10,
                ..Usage::default()
            },
            ..Reply::default()
        })
    }));
    let barista = Spirit {
        name: "barista".into(),
        generation: 1,
        persona: Arc::new(Fixed),
        oracles: vec![Asking {
            oracle,
            temperature: None,
            max_tokens: None,
            effort: None,
            timeout: Duration::from_secs(10),
            breaker: Default::default(),
        }],
        scouts: Vec::new(),
        actions: Vec::new(),
        conduits: Vec::new(),
        rites: Vec::new(),
        limits,
    };
    WeaveBuilder::new("barista")
        .bond(Arc::new(RedisBond::new(redis.clone())))
        .inbox(Arc::new(RedisInbox::new(redis.clone())))
        .echoes(Arc::new(RedisEchoes::new(redis.clone())))
        .chronicle(Arc::new(RedisChronicle::new(redis.clone())))
        .memory(Arc::new(RedisMemory::new(redis.clone())))
        .vigil(Arc::new(RedisVigil::new(redis.clone())))
        .voice("wa", Arc::new(InMemoryVoice::new()))
        .spirit(barista)
        .build()
        .unwrap()
}

/// How a Pulse ended that was delivered to this pod, and why.
async fn ended(redis: &Redis, weave: &Weave, pulse: &Pulse) -> (Outcome, String) {
    let body = serde_json::to_vec(&[pulse]).unwrap();
    let webhook = Webhook {
        method: Method::Post,
        query: "",
        header: &|_| None,
        body: &body,
    };
    weave.receive(&"wa".into(), webhook).await.unwrap();
    let chronicle = RedisChronicle::new(redis.clone());
    let entry = until("the end of a Pulse", async || {
        chronicle.of_pulse(&pulse.id).await.unwrap().pop()
    })
    .await;
    // The session is free again, in whichever pod the next Pulse comes.
    until("a pod at rest", async || {
        (weave.in_flight() == 0).then_some(())
    })
    .await;
    (entry.outcome, entry.reason)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens_that_one_pod_used_count_for_the_other() {
    let redis = spirit().await;
    let limits = Limits {
        tokens_per_day: Some(250),
        ..Limits::default()
    };
    let pods = [pod(&redis, limits), pod(&redis, limits)];
    for (number, weave) in pods.iter().cycle().take(3).enumerate() {
        let (outcome, why) = ended(&redis, weave, &pulse(&format!("tokens-{number}"))).await;
        assert_eq!(outcome, Outcome::Answered, "{why}");
    }
    for (number, weave) in pods.iter().enumerate() {
        let (outcome, why) = ended(&redis, weave, &pulse(&format!("beyond-{number}"))).await;
        assert_eq!(outcome, Outcome::Limited);
        assert!(why.contains("tokensPerSessionPerDay"), "{why}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pulses_that_one_pod_took_count_for_the_other() {
    let redis = spirit().await;
    let limits = Limits {
        pulses_per_minute: Some(3),
        ..Limits::default()
    };
    let pods = [pod(&redis, limits), pod(&redis, limits)];
    let mut outcomes = Vec::new();
    for (number, weave) in pods.iter().cycle().take(5).enumerate() {
        outcomes.push(
            ended(&redis, weave, &pulse(&format!("pulse-{number}")))
                .await
                .0,
        );
    }
    let limited = outcomes
        .iter()
        .filter(|outcome| **outcome == Outcome::Limited);
    // A minute that ends in between begins a new count.
    assert!((1..=2).contains(&limited.count()), "{outcomes:?}");
}
