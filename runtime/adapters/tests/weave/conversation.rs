//! What the Oracle is shown, what it may do, and what comes of its failures.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use eywa_adapters::{
    action::InMemoryAction, conduit::InMemoryConduit, oracle::InMemoryOracle,
    pathfinder::InMemoryPathfinder, scout::InMemoryScout, voice::InMemoryVoice,
};
use eywa_weave::{
    SpiritName,
    ports::{
        Chronicle as _, Conduit,
        action::ActionError,
        conduit::ConduitError,
        oracle::{Fault, Reply, Turn, Usage},
        scout::{Harvest, ScoutError},
    },
    pulse::Outcome,
    spirit::{Scouting, WhenBusy},
    tool::{Tool, ToolCall, ToolSpec},
    weave::BuildError,
};
use serde_json::json;

use crate::scene::{Stores, deliver, fails, last_words, parrot, pulse, says, spirit, texts, until};

fn calls(name: &str, arguments: serde_json::Value) -> Reply {
    let call = ToolCall {
        id: "c1".into(),
        name: name.into(),
        arguments,
        sealed: None,
    };
    Reply {
        calls: vec![call],
        ..Reply::default()
    }
}

fn scouting(scout: InMemoryScout) -> Scouting {
    Scouting {
        scout: Arc::new(scout),
        timeout: Duration::from_millis(800),
        when: None,
    }
}

fn order_schema() -> serde_json::Value {
    json!({"type": "object", "properties": {"drink": {"type": "string"}}, "required": ["drink"]})
}

#[tokio::test(start_paused = true)]
async fn scouts_never_stop_the_pipeline() {
    let (stores, voice, oracle) = (Stores::new(), Arc::new(InMemoryVoice::new()), parrot());
    let mut barista = spirit("barista", vec![oracle.clone()]);
    barista.scouts = vec![
        scouting(InMemoryScout::new("broken", |_, _| async {
            Err(ScoutError("no".into()))
        })),
        scouting(InMemoryScout::new("hangs", |_, _| std::future::pending())),
        scouting(InMemoryScout::new("crm", |_, _| async {
            Ok(Harvest {
                text: "A regular.".into(),
                sources: vec!["people/ana.md".into()],
            })
        })),
    ];
    let weave = stores.pod(barista, &voice, WhenBusy::Discard);
    deliver(&weave, &[pulse("1", "ana", "hi")]).await.unwrap();
    assert_eq!(stores.outcome("1").await, Outcome::Answered);
    let system = oracle.asked().remove(0).system;
    assert!(
        system.contains("<finding source=\"crm\">\nA regular."),
        "{system}"
    );
    assert!(
        !system.contains("broken") && !system.contains("hangs"),
        "{system}"
    );
    let entries = stores.chronicle.of_pulse(&"wa/1".into()).await.unwrap();
    let steps = entries.iter().flat_map(|entry| &entry.steps);
    let from: Vec<(&str, &[String])> = steps
        .filter(|step| !step.sources.is_empty())
        .map(|step| (step.name.as_str(), step.sources.as_slice()))
        .collect();
    assert_eq!(from, [("crm", &["people/ana.md".to_owned()][..])]);
}

#[tokio::test(start_paused = true)]
async fn an_action_is_called_and_its_result_is_answered_with() {
    let (stores, voice) = (Stores::new(), Arc::new(InMemoryVoice::new()));
    let oracle = Arc::new(InMemoryOracle::new(|asked| async move {
        Ok(match asked.turns.last() {
            Some(Turn::Tools(results)) => says(&results[0].content),
            _ => calls("place_order", json!({"drink": "flat white"})),
        })
    }));
    let action = Arc::new(
        InMemoryAction::new("place_order", order_schema(), |_| async {
            Ok("Order 7.".to_owned())
        })
        .unwrap(),
    );
    let mut barista = spirit("barista", vec![oracle]);
    barista.actions = vec![action.clone()];
    let weave = stores.pod(barista, &voice, WhenBusy::Discard);
    deliver(&weave, &[pulse("1", "ana", "a flat white")])
        .await
        .unwrap();
    assert_eq!(stores.outcome("1").await, Outcome::Answered);
    assert_eq!(texts(&voice), ["Order 7."]);
    assert_eq!(action.made().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn wrong_arguments_unknown_tools_and_failures_go_back_to_the_oracle_in_words() {
    let (stores, voice) = (Stores::new(), Arc::new(InMemoryVoice::new()));
    let round = AtomicUsize::new(0);
    let oracle = Arc::new(InMemoryOracle::new(move |_| {
        let round = round.fetch_add(1, Ordering::SeqCst);
        async move {
            Ok(match round {
                0 => calls("place_order", json!({"drnk": "flat white"})),
                1 => calls("cancel_order", json!({})),
                2 => calls("place_order", json!({"drink": "tea"})),
                _ => says("I gave up."),
            })
        }
    }));
    let action = InMemoryAction::new("place_order", order_schema(), |_| async {
        Err(ActionError("We serve no tea.".into()))
    });
    let action = Arc::new(action.unwrap());
    let mut barista = spirit("barista", vec![oracle.clone()]);
    barista.actions = vec![action.clone()];
    let weave = stores.pod(barista, &voice, WhenBusy::Discard);
    deliver(&weave, &[pulse("1", "ana", "tea")]).await.unwrap();
    assert_eq!(stores.outcome("1").await, Outcome::Answered);
    let results: Vec<String> = oracle
        .asked()
        .iter()
        .filter_map(|asked| match asked.turns.last() {
            Some(Turn::Tools(results)) => Some(results[0].content.clone()),
            _ => None,
        })
        .collect();
    assert!(results[0].contains("drink"), "{results:?}");
    assert!(results[1].contains("There are: place_order"), "{results:?}");
    assert_eq!(results[2], "We serve no tea.");
    assert_eq!(
        action.made().len(),
        1,
        "only arguments that fit reach the Action"
    );
}

#[tokio::test(start_paused = true)]
async fn an_action_comes_before_a_conduits_tool_and_a_conduit_that_is_down_is_left_out() {
    let (stores, voice) = (Stores::new(), Arc::new(InMemoryVoice::new()));
    let oracle = Arc::new(InMemoryOracle::new(|asked| async move {
        Ok(match asked.turns.last() {
            Some(Turn::Tools(results)) => says(&results[0].content),
            _ => calls("place_order", json!({"drink": "flat white"})),
        })
    }));
    let tool = |name: &str| {
        let parameters = json!({"type": "object"});
        Tool::new(ToolSpec {
            name: name.into(),
            description: String::new(),
            parameters,
        })
        .unwrap()
    };
    let tools = vec![tool("menu_list"), tool("place_order")];
    let shop = InMemoryConduit::new("shop", tools, |_, _| async {
        Ok("the Conduit's".to_owned())
    });
    let action = InMemoryAction::new("place_order", order_schema(), |_| async {
        Ok("the Action's".to_owned())
    });
    let mut barista = spirit("barista", vec![oracle.clone()]);
    barista.actions = vec![Arc::new(action.unwrap())];
    barista.conduits = vec![Arc::new(Down), Arc::new(shop)];
    let weave = stores.pod(barista, &voice, WhenBusy::Discard);
    deliver(&weave, &[pulse("1", "ana", "hi")]).await.unwrap();
    assert_eq!(stores.outcome("1").await, Outcome::Answered);
    let names: Vec<String> = oracle.asked()[0]
        .tools
        .iter()
        .map(|tool| tool.name.clone())
        .collect();
    assert_eq!(names, ["place_order", "menu_list"]);
    assert_eq!(texts(&voice), ["the Action's"]);
}

/// A Conduit whose server is away.
struct Down;

#[async_trait]
impl Conduit for Down {
    fn name(&self) -> &str {
        "down"
    }

    async fn tools(&self) -> Result<Arc<[Tool]>, ConduitError> {
        Err(ConduitError {
            conduit: "down".into(),
            message: "nobody is there".into(),
        })
    }

    async fn call(&self, _: &str, _: &serde_json::Value) -> Result<String, ActionError> {
        Err(ActionError("nobody is there".into()))
    }
}

#[tokio::test(start_paused = true)]
async fn an_oracle_that_only_calls_tools_is_stopped_at_the_last_round() {
    let (stores, voice) = (Stores::new(), Arc::new(InMemoryVoice::new()));
    let oracle = Arc::new(InMemoryOracle::new(|_| async {
        Ok(calls("nothing", json!({})))
    }));
    let mut barista = spirit("barista", vec![oracle.clone()]);
    barista.limits.rounds = 3;
    let weave = stores.pod(barista, &voice, WhenBusy::Discard);
    deliver(&weave, &[pulse("1", "ana", "hi")]).await.unwrap();
    let (outcome, reason) = stores.entry("1").await;
    assert_eq!(outcome, Outcome::Failed);
    assert!(reason.contains("limits.rounds"), "{reason}");
    assert_eq!(oracle.asked().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_failing_oracle_is_asked_again_and_then_its_fallback_is() {
    let (stores, voice) = (Stores::new(), Arc::new(InMemoryVoice::new()));
    let limited = Arc::new(InMemoryOracle::new(|_| async {
        Err(fails(Fault::RateLimited(Some(Duration::from_secs(2)))))
    }));
    let locked = Arc::new(InMemoryOracle::new(|_| async {
        Err(fails(Fault::Unauthorized))
    }));
    let barista = spirit("barista", vec![limited.clone(), locked.clone(), parrot()]);
    let weave = stores.pod(barista, &voice, WhenBusy::Discard);
    let began = tokio::time::Instant::now();
    deliver(&weave, &[pulse("1", "ana", "hi")]).await.unwrap();
    assert_eq!(stores.outcome("1").await, Outcome::Answered);
    assert_eq!((limited.asked().len(), locked.asked().len()), (3, 1));
    assert!(
        began.elapsed() >= Duration::from_secs(4),
        "the provider's hint was not heeded"
    );
}

#[tokio::test(start_paused = true)]
async fn what_a_providers_policy_refuses_is_not_asked_of_another() {
    let (stores, voice, fallback) = (Stores::new(), Arc::new(InMemoryVoice::new()), parrot());
    let refuses = Arc::new(InMemoryOracle::new(|_| async {
        Err(fails(Fault::Refused))
    }));
    let weave = stores.pod(
        spirit("barista", vec![refuses, fallback.clone()]),
        &voice,
        WhenBusy::Discard,
    );
    deliver(&weave, &[pulse("1", "ana", "hi")]).await.unwrap();
    assert_eq!(stores.outcome("1").await, Outcome::Failed);
    assert!(fallback.asked().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_conversation_that_is_too_long_is_asked_about_once_more_with_less_of_it() {
    let (stores, voice) = (Stores::new(), Arc::new(InMemoryVoice::new()));
    let oracle = Arc::new(InMemoryOracle::new(|asked| async move {
        if asked.turns.len() > 5 {
            Err(fails(Fault::TooLong))
        } else {
            Ok(says(&last_words(&asked)))
        }
    }));
    let weave = stores.pod(
        spirit("barista", vec![oracle.clone()]),
        &voice,
        WhenBusy::Discard,
    );
    for n in 0..4 {
        deliver(
            &weave,
            &[pulse(&n.to_string(), "ana", &format!("message {n}"))],
        )
        .await
        .unwrap();
        assert_eq!(stores.outcome(&n.to_string()).await, Outcome::Answered);
        until(async || (weave.in_flight() == 0).then_some(()))
            .await
            .unwrap();
    }
    let lengths: Vec<usize> = oracle
        .asked()
        .iter()
        .map(|asked| asked.turns.len())
        .collect();
    assert_eq!(lengths, [1, 3, 5, 7, 3]);
}

#[tokio::test(start_paused = true)]
async fn what_was_said_before_is_shown_to_the_oracle() {
    let (stores, voice, oracle) = (Stores::new(), Arc::new(InMemoryVoice::new()), parrot());
    let weave = stores.pod(
        spirit("barista", vec![oracle.clone()]),
        &voice,
        WhenBusy::Queue,
    );
    deliver(&weave, &[pulse("1", "ana", "hi")]).await.unwrap();
    stores.outcome("1").await;
    deliver(&weave, &[pulse("2", "ana", "again")])
        .await
        .unwrap();
    stores.outcome("2").await;
    let words: Vec<String> = oracle.asked()[1]
        .turns
        .iter()
        .map(|turn| match turn {
            Turn::User { text, .. } => format!("user: {text}"),
            Turn::Agent { text, .. } => format!("agent: {text}"),
            Turn::Tools(_) => "tools".to_owned(),
        })
        .collect();
    assert_eq!(words, ["user: hi", "agent: hi", "user: again"]);
}

#[tokio::test(start_paused = true)]
async fn an_oracle_that_never_answers_costs_no_more_than_the_pulses_time() {
    let (stores, voice) = (Stores::new(), Arc::new(InMemoryVoice::new()));
    let hangs = Arc::new(InMemoryOracle::new(|_| std::future::pending()));
    let mut barista = spirit("barista", vec![hangs]);
    barista.limits.pulse_timeout = Duration::from_secs(10);
    let weave = stores.pod(barista, &voice, WhenBusy::Discard);
    let began = tokio::time::Instant::now();
    deliver(&weave, &[pulse("1", "ana", "hi")]).await.unwrap();
    let (outcome, reason) = stores.entry("1").await;
    assert_eq!(outcome, Outcome::Failed);
    assert!(reason.contains("limits.pulseTimeout"), "{reason}");
    assert!(began.elapsed() < Duration::from_secs(11));
}

#[tokio::test(start_paused = true)]
async fn the_pathfinders_choice_answers_and_sticks() {
    let (stores, voice) = (Stores::new(), Arc::new(InMemoryVoice::new()));
    let says_its_name =
        |name: &'static str| Arc::new(InMemoryOracle::new(move |_| async move { Ok(says(name)) }));
    let pathfinder = InMemoryPathfinder::new(true, |pulse, _| async move {
        Ok(pulse
            .content
            .text
            .contains("invoice")
            .then(|| SpiritName::from("billing")))
    });
    let weave = stores
        .builder(
            spirit("barista", vec![says_its_name("barista")]),
            &voice,
            WhenBusy::Queue,
        )
        .spirit(spirit("billing", vec![says_its_name("billing")]))
        .pathfinder(Arc::new(pathfinder))
        .build()
        .unwrap();
    for (id, text) in [("1", "hi"), ("2", "my invoice"), ("3", "thanks")] {
        deliver(&weave, &[pulse(id, "ana", text)]).await.unwrap();
        stores.outcome(id).await;
    }
    assert_eq!(texts(&voice), ["barista", "billing", "billing"]);
}

#[tokio::test(start_paused = true)]
async fn a_session_that_sends_or_uses_too_much_is_limited() {
    let (stores, voice) = (Stores::new(), Arc::new(InMemoryVoice::new()));
    let thirsty = Arc::new(InMemoryOracle::new(|_| async {
        Ok(Reply {
            usage: Usage {
                input: 90,
                output: 10,
                cached: 0,
                cache_write: 0,
            },
            ..says("here")
        })
    }));
    let mut barista = spirit("barista", vec![thirsty]);
    barista.limits.tokens_per_day = Some(150);
    barista.limits.pulses_per_minute = Some(3);
    let weave = stores.pod(barista, &voice, WhenBusy::Discard);
    let mut outcomes = Vec::new();
    for id in ["1", "2", "3", "4"] {
        deliver(&weave, &[pulse(id, "ana", "more")]).await.unwrap();
        outcomes.push(stores.entry(id).await);
        until(async || (weave.in_flight() == 0).then_some(()))
            .await
            .unwrap();
    }
    assert_eq!(outcomes[0].0, Outcome::Answered);
    assert_eq!(outcomes[1].0, Outcome::Answered);
    assert!(
        outcomes[2].1.contains("tokensPerSessionPerDay"),
        "{outcomes:?}"
    );
    assert!(
        outcomes[3].1.contains("pulsesPerUserPerMinute"),
        "{outcomes:?}"
    );
}

#[test]
fn a_weave_without_a_port_is_not_built_and_the_error_names_the_port() {
    let missing = eywa_weave::WeaveBuilder::new("barista")
        .spirit(spirit("barista", vec![parrot()]))
        .voice("wa", Arc::new(InMemoryVoice::new()))
        .build();
    let Err(error @ BuildError::Missing { port: "Bond", .. }) = missing else {
        panic!("it was built")
    };
    assert!(error.to_string().contains("WeaveBuilder::bond"), "{error}");
}
