//! What a user sees, on a real cluster: `cargo xtask test` brings it, or
//! `KUBECONFIG=… cargo test -p eywa-e2e --features cluster [NAME]`.
//!
//! The chart is installed once. Each scenario has a namespace and stand-ins of its own, so that they run beside each
//! other; those that take away what all share run alone, last.

mod barista;
mod chart;
mod conduits;
mod desk;
mod imprint;
mod lore;
mod metrics;
mod outages;
mod plugin;
mod rites;
mod spirits;
mod vigil;
mod webhooks;
mod whatsapp;

use std::{any::Any, future::Future, sync::Arc, time::Instant};

use eywa_e2e::{Scene, cluster};
use libtest_mimic::{Arguments, Failed, Trial};
use tokio::runtime::{Handle, Runtime};

/// How many scenarios run beside each other: they wait more than they compute.
const BESIDE: usize = 4;

/// Scenarios, by the names of their functions.
macro_rules! scenarios {
    ($handle:expr, $($theme:ident: $($name:ident),+;)+) => {
        vec![$($(scenario(&$handle, concat!(stringify!($theme), "::", stringify!($name)), $theme::$name)),+),+]
    };
}

fn main() {
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(BESIDE);
    let runtime = Runtime::new().unwrap_or_else(|error| panic!("no runtime: {error}"));
    let handle = runtime.handle().clone();
    let beside = scenarios! { handle,
        barista: the_barista_of_the_examples_takes_an_order;
        chart: helm_and_kubeconform_find_nothing_wrong, a_pod_that_pod_security_restricts_is_refused;
        conduits: a_server_that_restarts_changes_and_locks_its_door_is_followed;
        desk: a_person_who_may_takes_over_replies_and_gives_back_at_the_page,
            a_person_who_may_approves_a_call_at_the_page;
        imprint: what_a_person_said_is_remembered_shown_and_forgotten_at_their_wish;
        lore: documents_in_a_config_map_are_shown_to_the_model_and_a_change_is_followed;
        metrics: a_prometheus_returns_the_counts_and_fills_the_dashboard;
        outages: a_pod_killed_while_it_asks_the_oracle_is_stood_in_for_once;
        plugin: a_person_who_may_takes_over_replies_and_gives_back_with_the_plugin,
            a_whole_spirit_is_silenced_and_one_command_lifts_it, a_person_who_may_approves_a_call_with_the_plugin,
            the_desk_of_a_namespace_lets_its_user_do_what_they_may;
        rites: an_approved_call_is_made_once_and_the_person_hears, a_no_and_silence_make_no_call_and_are_told_apart,
            an_edit_of_the_spirit_makes_an_approval_void, an_approval_under_a_takeover_is_carried_out_in_silence;
        spirits: a_missing_secret_is_named_and_creating_it_heals, a_rotated_secret_reaches_the_pods,
            a_bad_edit_is_refused_by_the_api_server, a_bad_edit_leaves_the_last_good_pods_serving,
            deleting_a_spirit_leaves_nothing_behind;
        vigil: a_human_takes_a_conversation_over_and_gives_it_back, a_reply_in_flight_is_not_spoken_once_a_human_has_it,
            a_reply_being_sent_is_waited_for_before_a_human_has_it,
            an_agent_asks_for_a_human_who_is_called_and_the_person_has_it_back_by_their_word,
            of_two_people_the_second_is_told_who_has_it, one_object_silences_every_conversation;
        webhooks: a_webhook_is_acknowledged_at_once_and_answered_once,
            of_two_messages_at_the_same_time_one_is_answered_and_one_discarded, people_do_not_wait_for_each_other,
            what_is_not_a_signed_webhook_is_turned_away, an_unknown_message_does_not_fail_its_neighbours,
            a_message_that_meta_refuses_for_now_is_sent_again;
        whatsapp: a_picture_reaches_the_model, choices_come_as_buttons_and_one_comes_back,
            a_message_is_marked_read_while_it_is_answered, a_person_with_a_new_id_goes_on_with_their_conversation,
            after_a_day_the_template_goes_out, a_token_that_ended_shows_in_the_status_until_it_is_renewed;
    };
    let alone = scenarios! { handle,
        vigil: a_human_takes_over_while_the_operator_is_down;
        outages: nothing_acknowledged_is_lost_while_redis_is_away;
        chart: an_upgrade_that_changes_a_crd_changes_it,
            an_order_in_anothers_name_is_refused_where_the_admin_wants_it_so;
    };
    if arguments.list {
        libtest_mimic::run(&arguments, beside.into_iter().chain(alone).collect()).exit();
    }
    runtime.block_on(step("installing", cluster::install()));
    let first = libtest_mimic::run(&arguments, beside);
    arguments.test_threads = Some(1);
    let second = libtest_mimic::run(&arguments, alone);
    runtime.block_on(step("tidying up", cluster::remove()));
    first.exit_if_failed();
    second.exit();
}

/// A scenario in a scene of its own. When it fails, what the cluster says is part of the failure.
fn scenario<F>(handle: &Handle, name: &'static str, play: fn(Arc<Scene>) -> F) -> Trial
where
    F: Future<Output = ()> + Send + 'static,
{
    let handle = handle.clone();
    Trial::test(name, move || {
        let title = name.rsplit("::").next().unwrap_or(name);
        let started = Instant::now();
        let scene = Arc::new(handle.block_on(Scene::set(title)));
        let ended = handle.block_on(handle.spawn(play(Arc::clone(&scene))));
        eprintln!("{name} took {:.1} s", started.elapsed().as_secs_f32());
        let failed = ended.err().map(|error| {
            let why = error.try_into_panic().map_or_else(
                |_| "it was cancelled".to_owned(),
                |panic| words(panic.as_ref()),
            );
            format!("{why}\n\n{}", handle.block_on(scene.diagnostics()))
        });
        if failed.is_some() {
            handle.block_on(cluster::restore());
        }
        handle.block_on(scene.clear());
        failed.map_or(Ok(()), |why| Err(Failed::from(why)))
    })
}

/// What a panic said.
fn words(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "it panicked without a word".to_owned())
}

async fn step(name: &str, work: impl Future<Output = ()>) {
    let started = Instant::now();
    work.await;
    eprintln!("{name} took {:.1} s", started.elapsed().as_secs_f32());
}
