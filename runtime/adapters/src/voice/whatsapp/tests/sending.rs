//! Buttons, templates, pace and the sign that somebody types.

use eywa_weave::pulse::Choice;

use super::*;

const HOUR: i64 = 60 * 60;

fn written(hours_ago: i64) -> Value {
    json!({"to": "5511999990000", "message": "wamid.1", "at": Timestamp::now().as_second() - hours_ago * HOUR})
}

fn template(carries_text: bool) -> Template {
    Template {
        name: "order_update".to_owned(),
        language: "pt_BR".to_owned(),
        parameters: vec!["Café Alma".to_owned()],
        carries_text,
    }
}

async fn say(voice: &WhatsAppVoice, to: &Value, text: &str) -> Result<(), VoiceError> {
    let pulse = PulseId::from("wa/wamid.1");
    voice.speak(Utterance::new(&pulse, to, text)).await
}

#[tokio::test]
async fn choices_are_sent_as_buttons_under_the_text() {
    let server = graph(accepted()).await;
    let choices = ["Small", "Large"].map(|title| Choice {
        title: title.to_owned(),
        description: None,
    });
    let (pulse, to) = (PulseId::from("wa/wamid.1"), written(1));
    let utterance = Utterance {
        choices: &choices,
        ..Utterance::new(&pulse, &to, "Which size?")
    };
    voice(&graph_url(&server)).speak(utterance).await.unwrap();
    let sent = sent(&server).await;
    assert_eq!((sent.len(), &sent[0]["type"]), (1, &json!("interactive")));
    assert_eq!(sent[0]["to"], "5511999990000");
    assert_eq!(
        sent[0]["interactive"]["action"]["buttons"][1]["reply"]["title"],
        "Large"
    );
}

#[tokio::test]
async fn a_message_that_was_sent_leads_back_to_its_pulse() {
    let server = graph(accepted()).await;
    let voice = voice(&graph_url(&server));
    say(&voice, &written(1), "hi").await.unwrap();
    // Written down beside what comes next.
    let known = async {
        loop {
            let known = voice.contacts.pulse_of(&"wa".into(), "wamid.out").await;
            match known.unwrap() {
                Some(pulse) => break pulse,
                None => tokio::task::yield_now().await,
            }
        }
    };
    let pulse = tokio::time::timeout(Duration::from_secs(5), known).await;
    assert_eq!(pulse.unwrap(), "wa/wamid.1".into());
}

#[tokio::test]
async fn a_message_is_marked_read_and_somebody_types() {
    // As the page "Typing indicators" has it.
    let server = graph(ResponseTemplate::new(200).set_body_json(json!({"success": true}))).await;
    let voice = voice(&graph_url(&server));
    assert_eq!(voice.attention(), Some(Duration::from_secs(25)));
    voice.attend(&written(1)).await.unwrap();
    assert_eq!(
        sent(&server).await,
        [json!({
            "messaging_product": "whatsapp",
            "status": "read",
            "message_id": "wamid.1",
            "typing_indicator": {"type": "text"},
        })]
    );
    let silent = WhatsAppSettings {
        typing: false,
        ..settings(&graph_url(&server))
    };
    assert_eq!(voice_of(silent).attention(), None);
}

#[tokio::test]
async fn after_a_day_without_a_word_nothing_but_a_template_goes_out() {
    let server = graph(accepted()).await;
    let error = say(&voice(&graph_url(&server)), &written(25), "hi")
        .await
        .unwrap_err();
    assert!(
        matches!(&error, VoiceError::Refused { code, message } if code == "131047" && message.contains("template")),
        "{error:?}"
    );
    assert!(sent(&server).await.is_empty());

    let carrying = voice_of(WhatsAppSettings {
        template: Some(template(true)),
        ..settings(&graph_url(&server))
    });
    say(&carrying, &written(25), "It is ready.\nCome by!")
        .await
        .unwrap();
    let sent = sent(&server).await;
    assert_eq!(sent[0]["type"], "template");
    let parameters = &sent[0]["template"]["components"][0]["parameters"];
    assert_eq!(parameters[1]["text"], "It is ready. Come by!");
}

#[tokio::test]
async fn a_template_that_only_tells_of_a_reply_is_sent_once_and_is_no_reply() {
    let server = graph(accepted()).await;
    let telling = voice_of(WhatsAppSettings {
        template: Some(template(false)),
        ..settings(&graph_url(&server))
    });
    for _ in 0..2 {
        let error = say(&telling, &written(25), "It is ready.")
            .await
            .unwrap_err();
        assert!(
            matches!(&error, VoiceError::Refused { code, message } if code == "131047" && message.contains("order_update")),
            "{error:?}"
        );
    }
    assert_eq!(sent(&server).await.len(), 1);
    // Another person is told by themselves.
    let ben = json!({"to": "5511999991111", "message": "wamid.2", "at": 1});
    say(&telling, &ben, "hi").await.unwrap_err();
    assert_eq!(sent(&server).await.len(), 2);
}

#[tokio::test]
async fn when_meta_says_that_the_day_is_over_the_template_goes_out() {
    let server = MockServer::start().await;
    Mock::given(method("POST"))
        .respond_with(refused(400, 131_047, "Re-engagement message"))
        .up_to_n_times(1)
        .mount(&server)
        .await;
    Mock::given(method("POST"))
        .respond_with(accepted())
        .mount(&server)
        .await;
    let carrying = voice_of(WhatsAppSettings {
        template: Some(template(true)),
        ..settings(&graph_url(&server))
    });
    say(&carrying, &written(1), "hi").await.unwrap();
    let kinds: Vec<Value> = sent(&server)
        .await
        .iter()
        .map(|sent| sent["type"].clone())
        .collect();
    assert_eq!(kinds, ["text", "template"]);
}

#[tokio::test]
async fn who_is_written_to_too_fast_waits_for_their_turn() {
    let server = graph(accepted()).await;
    let voice = voice(&graph_url(&server));
    // As if another pod had sent as much: the burst, and two that wait for theirs.
    let ana = UserId::from("5511999990000");
    let patient = Pace {
        longest_wait: Duration::from_secs(60),
        ..PACE
    };
    tokio::time::pause();
    let pace = voice.contacts.pace(&voice.name, &ana, 47, patient).await;
    assert_eq!(pace.unwrap(), 2 * PACE.interval);

    // However long it is, nothing waits in here, where it could be given up and taken for sent; nor is it counted.
    let wait = 3 * PACE.interval;
    for _ in 0..2 {
        let began = tokio::time::Instant::now();
        let error = say(&voice, &written(1), "hi").await.unwrap_err();
        assert!(
            matches!(error, VoiceError::Busy { retry_after: Some(after), .. } if after == wait),
            "{error:?}"
        );
        assert_eq!(began.elapsed(), Duration::ZERO);
    }
    tokio::time::advance(wait).await;
    tokio::time::resume();
    assert!(sent(&server).await.is_empty());
    say(&voice, &written(1), "hi").await.unwrap();
    let error = say(&voice, &written(1), "hi again").await.unwrap_err();
    assert!(matches!(error, VoiceError::Busy { .. }), "{error:?}");
    let ben = json!({"to": "5511999991111", "message": "wamid.2"});
    say(&voice, &ben, "hi").await.unwrap();
    assert_eq!(sent(&server).await.len(), 2);
}

#[tokio::test]
async fn a_template_that_waits_for_its_turn_is_not_taken_for_sent() {
    let server = graph(accepted()).await;
    let telling = voice_of(WhatsAppSettings {
        template: Some(template(false)),
        ..settings(&graph_url(&server))
    });
    let ana = UserId::from("5511999990000");
    tokio::time::pause();
    let pace = telling.contacts.pace(&telling.name, &ana, 45, PACE).await;
    assert_eq!(pace.unwrap(), Duration::ZERO);
    let error = say(&telling, &written(25), "It is ready.").await;
    assert!(matches!(error, Err(VoiceError::Busy { .. })), "{error:?}");
    tokio::time::advance(PACE.interval).await;
    tokio::time::resume();
    let error = say(&telling, &written(25), "It is ready.").await;
    assert!(
        matches!(error, Err(VoiceError::Refused { .. })),
        "{error:?}"
    );
    assert_eq!(sent(&server).await[0]["type"], "template");
}
