use std::sync::Mutex;

use super::*;

fn ways(routes: &[(&str, &'static str)]) -> Ways {
    let routes = routes.iter().map(|(spirit, when)| {
        (
            (*spirit).into(),
            Some(*when).filter(|when| !when.is_empty()),
        )
    });
    Ways::new(routes).unwrap()
}

fn pathfinder(all: Vec<(&str, Ways)>) -> RoutesPathfinder {
    let all = all.into_iter().map(|(spirit, ways)| (spirit.into(), ways));
    RoutesPathfinder::new("barista".into(), all, true)
}

async fn choose_from(
    pathfinder: &RoutesPathfinder,
    current: Option<&str>,
    text: &str,
) -> Result<Option<String>, String> {
    let current = current.map(SpiritName::from);
    let pulse = facts::tests::pulse(text);
    let chosen = pathfinder
        .choose(&pulse, current.as_ref(), &mut Vec::new())
        .await;
    chosen
        .map(|spirit| spirit.map(|spirit| spirit.to_string()))
        .map_err(|error| error.to_string())
}

async fn choose(pathfinder: &RoutesPathfinder, text: &str) -> Option<String> {
    choose_from(pathfinder, None, text).await.unwrap()
}

/// Picks the Spirit that the message names with a question mark, and remembers what it was asked.
#[derive(Default)]
struct Guess(Mutex<Vec<(String, Option<String>)>>);

#[async_trait]
impl Chooser for Guess {
    async fn pick(
        &self,
        pulse: &Pulse,
        current: Option<&SpiritName>,
        _: &mut Vec<Consulted>,
    ) -> Option<SpiritName> {
        let text = pulse.content.text.clone();
        let asked = (text.clone(), current.map(ToString::to_string));
        self.0.lock().unwrap().push(asked);
        Some(text.strip_suffix('?')?.into())
    }
}

#[tokio::test]
async fn the_first_rule_that_holds_picks_the_spirit() {
    let rules = pathfinder(vec![(
        "barista",
        ways(&[
            ("billing", "text.matches('(?i)invoice')"),
            ("never", "text.contains('invoice')"),
            ("shop", "voice == 'web'"),
        ]),
    )]);
    assert_eq!(
        choose(&rules, "my invoice").await.as_deref(),
        Some("billing")
    );
    assert_eq!(choose(&rules, "a flat white").await, None);
    assert!(rules.sticks());
}

#[tokio::test]
async fn a_rule_that_fails_does_not_keep_the_others_from_holding() {
    let rules = pathfinder(vec![(
        "barista",
        ways(&[
            ("numbers", "text == 'hello' || int(text) > 0"),
            ("billing", "text.contains('invoice')"),
        ]),
    )]);
    assert_eq!(choose(&rules, "invoice").await.as_deref(), Some("billing"));
    assert_eq!(choose(&rules, "7").await.as_deref(), Some("numbers"));
    let failed = choose_from(&rules, None, "seven").await.unwrap_err();
    assert!(failed.contains("numbers"), "{failed}");
}

#[test]
fn a_rule_that_is_malformed_is_refused_with_where_it_leads() {
    let error = Ways::new([("billing".into(), Some("text =="))]).unwrap_err();
    assert!(error.to_string().contains("billing"), "{error}");
}

/// barista → support → hardware, software; barista → billing.
fn nested() -> RoutesPathfinder {
    pathfinder(vec![
        (
            "barista",
            ways(&[
                ("support", "text.contains('broken')"),
                ("billing", "text.contains('invoice')"),
                ("barista", "text.contains('coffee')"),
            ]),
        ),
        (
            "support",
            ways(&[
                ("hardware", "text.contains('machine')"),
                ("software", "text.contains('app')"),
            ]),
        ),
    ])
}

#[tokio::test]
async fn the_routes_of_a_routed_spirit_are_followed_from_there() {
    let nested = nested();
    for (text, goes) in [
        ("it is broken", Some("support")),
        ("the machine is broken", Some("hardware")),
        ("the app is broken", Some("software")),
        // Support's rules are asked of what comes to support alone.
        ("a machine", None),
        ("the machine's invoice", Some("billing")),
    ] {
        assert_eq!(choose(&nested, text).await.as_deref(), goes, "{text}");
    }
}

#[tokio::test]
async fn a_session_stays_where_it_is_and_the_rules_on_its_way_still_hold() {
    let nested = nested();
    for (current, text, goes) in [
        ("hardware", "it hisses", None),
        ("hardware", "and the app, too", Some("software")),
        ("support", "the machine", Some("hardware")),
        // What is broken is support's matter, and it is with a part of support already.
        ("hardware", "still broken", Some("hardware")),
        ("hardware", "my invoice", Some("billing")),
        ("hardware", "a coffee, then", Some("barista")),
        ("billing", "the machine", None),
        ("billing", "the machine is broken", Some("hardware")),
        ("gone", "it hisses", None),
    ] {
        let chosen = choose_from(&nested, Some(current), text).await.unwrap();
        assert_eq!(chosen.as_deref(), goes, "{current}: {text}");
    }
}

#[tokio::test]
async fn ways_that_lead_in_a_circle_end() {
    let circle = pathfinder(vec![
        ("barista", ways(&[("billing", "true")])),
        ("billing", ways(&[("barista", "true")])),
    ]);
    assert!(choose(&circle, "hi").await.is_some());
}

#[tokio::test]
async fn where_no_rule_holds_the_chooser_is_asked_until_something_is_picked() {
    let guess = Arc::new(Guess::default());
    let asks = pathfinder(vec![(
        "barista",
        ways(&[("billing", "text.contains('invoice')"), ("shop", "")])
            .choosing(guess.clone(), false),
    )]);
    assert_eq!(
        choose(&asks, "my invoice").await.as_deref(),
        Some("billing")
    );
    assert_eq!(choose(&asks, "hi").await, None, "nothing was picked yet");
    assert_eq!(choose(&asks, "shop?").await.as_deref(), Some("shop"));
    for current in ["shop", "barista"] {
        assert_eq!(
            choose_from(&asks, Some(current), "billing?").await.unwrap(),
            None,
            "it was picked before"
        );
    }
    let asked = guess.0.lock().unwrap().clone();
    assert_eq!(asked, [("hi".to_owned(), None), ("shop?".to_owned(), None)]);
}

#[tokio::test]
async fn a_chooser_that_reconsiders_is_asked_for_every_message_that_no_rule_speaks_of() {
    let guess = Arc::new(Guess::default());
    let asks = pathfinder(vec![(
        "barista",
        ways(&[("billing", "text.contains('invoice')"), ("shop", "")])
            .choosing(guess.clone(), true),
    )]);
    let from_shop = async |text: &str| choose_from(&asks, Some("shop"), text).await.unwrap();
    assert_eq!(from_shop("billing?").await.as_deref(), Some("billing"));
    assert_eq!(from_shop("thanks").await, None);
    assert_eq!(from_shop("an invoice").await.as_deref(), Some("billing"));
    let asked = guess.0.lock().unwrap().clone();
    let shop = Some("shop".to_owned());
    assert_eq!(
        asked,
        [
            ("billing?".to_owned(), shop.clone()),
            ("thanks".to_owned(), shop)
        ]
    );
}

#[tokio::test]
async fn a_routed_spirit_s_chooser_is_asked_once_as_the_conversation_comes_there() {
    let guess = Arc::new(Guess::default());
    let asks = pathfinder(vec![
        ("barista", ways(&[("support", "text.contains('hardware')")])),
        (
            "support",
            ways(&[("hardware", "")]).choosing(guess.clone(), false),
        ),
    ]);
    assert_eq!(
        choose(&asks, "hardware?").await.as_deref(),
        Some("hardware")
    );
    assert_eq!(choose(&asks, "hardware!").await.as_deref(), Some("support"));
    let later = choose_from(&asks, Some("support"), "hardware?").await;
    assert_eq!(later.unwrap().as_deref(), Some("support"));
    assert_eq!(guess.0.lock().unwrap().len(), 2);
}
