//! Every row of the table of times (DESIGN section 7), R061–R072 and R090–R093, in virtual time.

mod world;

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use tidesync_engine::interface::{Input, LogLevel, RowUser};
use tidesync_engine::{Config, DisabledReason, Phase};
use world::World;
use world::disk::Row;
use world::server::{Fault, status};

const FILES: &str = "files";

fn started() -> World {
    World::started(&[FILES, "checkpoints", "conversationMemories"])
}

#[test]
fn defaults_are_those_of_the_documentation() {
    let config = Config::default();
    assert_eq!(config.buffer_ms, 2_000);
    assert_eq!(config.throttle_ms, 5_000);
    assert_eq!(config.periodic_ms, 60_000);
    assert_eq!(config.backoff_base_ms, 5_000);
    assert_eq!(config.backoff_multiplier, 2);
    assert_eq!(config.backoff_max_ms, 300_000);
    assert_eq!(config.retry_after_max_ms, 3_600_000);
    assert_eq!(config.failures_max, 5);
    assert_eq!(config.recovery_ms, 300_000);
    assert_eq!(config.request_timeout_ms, 30_000);
    assert_eq!(
        (config.batch_ops_max, config.batch_bytes_max),
        (1_000, 1 << 20)
    );
    assert_eq!(
        (config.op_bytes_max, config.chunk_bytes_max),
        (8 << 20, 1 << 18)
    );
    assert_eq!(config.skip_tables, ["checkpoints", "conversationMemories"]);
}

#[test]
fn configuration_is_read_from_json_in_parts() {
    let json = r#"{"bufferMs":10,"failuresMax":3,"initial":"ignore"}"#;
    let config: Config = serde_json::from_str(json).expect("a configuration");
    assert_eq!(
        (config.buffer_ms, config.failures_max, config.throttle_ms),
        (10, 3, 5_000)
    );
    assert!(serde_json::from_str::<Config>(r#"{"bufer":1}"#).is_err());
}

#[test]
fn a_change_is_sent_when_the_buffer_closes() {
    let mut world = started();
    let at = world.now.monotonic_ms;
    world.put(FILES, "a", r#"{"n":1}"#);
    assert_eq!(world.status().phase, Phase::Buffering);
    assert_eq!(
        (world.status().pending, world.status().buffered_events),
        (1, 1)
    );
    world.run(1_999);
    assert_eq!(world.sent.len(), 0);
    world.run(1_000);
    assert_eq!(world.gaps(at), [2_000]);
    world.assert_synced("alice");
    assert_eq!(world.status().pending, 0);
    assert_eq!(world.status().phase, Phase::Idle);
    assert_eq!(world.status().last_sync_time, world.now.wall_ms - 899);
}

#[test]
fn later_changes_do_not_restart_the_buffer() {
    let mut world = started();
    let at = world.now.monotonic_ms;
    for n in 0..10 {
        world.put(FILES, "a", &format!(r#"{{"n":{n}}}"#));
        world.run(300);
    }
    assert_eq!(world.gaps(at).first(), Some(&2_000));
}

#[test]
fn the_throttle_counts_from_the_end_of_a_sync() {
    let mut world = started();
    world.latency = 700;
    world.put(FILES, "a", "1");
    world.run(2_100);
    world.put(FILES, "a", "2");
    world.run(20_000);
    assert_eq!(world.gaps(0).get(1), Some(&6_400));
    world.assert_synced("alice");
}

#[test]
fn fifty_edits_in_ten_seconds_are_a_few_syncs() {
    let mut world = started();
    for n in 0..50 {
        world.put(FILES, "a", &format!("{n}"));
        world.run(200);
    }
    world.run(10_000);
    assert_eq!(world.sent.len(), 3);
    world.assert_synced("alice");
    let lines: Vec<_> = world
        .lines()
        .into_iter()
        .filter(|line| line.contains("Syncing"))
        .collect();
    assert_eq!(
        lines,
        [
            "Auto-sync service: Syncing 10 changes to cloud...",
            "Auto-sync service: Syncing 26 changes to cloud...",
            "Auto-sync service: Syncing 14 changes to cloud...",
        ]
    );
}

#[test]
fn an_edit_each_second_is_not_starved() {
    let mut world = started();
    for n in 0..60 {
        world.put(FILES, "a", &format!("{n}"));
        world.run(1_000);
    }
    assert!(world.sent.len() >= 10, "{}", world.sent.len());
    assert!(
        world
            .gaps(0)
            .iter()
            .skip(1)
            .all(|gap| (5_000..=8_000).contains(gap))
    );
    world.run(10_000);
    world.assert_synced("alice");
}

#[test]
fn the_fallback_finds_what_no_hint_announced() {
    let mut world = started();
    world.disk.write(
        FILES,
        RowUser::Owner,
        world.now.wall_ms,
        Row::default().put("a", "1"),
    );
    world.run(60_100);
    assert_eq!(world.sent.len(), 1);
    world.assert_synced("alice");
}

#[test]
fn the_fallback_rests_while_hidden_and_sends_nothing_where_nothing_is_pending() {
    let mut world = started();
    world.run(600_000);
    assert_eq!(world.sent.len(), 0);
    world.show(false);
    world.disk.write(
        FILES,
        RowUser::Owner,
        world.now.wall_ms,
        Row::default().put("a", "1"),
    );
    world.run(600_000);
    assert_eq!(world.sent.len(), 0);
    world.show(true);
    world.run(100);
    assert_eq!(world.sent.len(), 1);
}

#[test]
fn hiding_the_page_flushes_the_buffer() {
    let mut world = started();
    world.put(FILES, "a", "1");
    world.run(100);
    world.show(false);
    world.run(100);
    assert_eq!(world.sent.len(), 1);
}

#[test]
fn waits_double_after_failures_and_are_only_lengthened() {
    let mut world = started();
    world.config.failures_max = 100;
    world.start();
    world.server.fault = Some(status(503));
    world.latency = 0;
    world.put(FILES, "a", "1");
    world.run(3_600_000);
    for (attempt, gap) in world.gaps(0).into_iter().skip(1).enumerate() {
        let least = (5_000_u64 << attempt.min(10)).min(300_000);
        assert!(
            (least..=(least * 3 / 2).min(300_000)).contains(&gap),
            "{attempt}: {gap}"
        );
    }
    assert_eq!(world.status().phase, Phase::BackingOff);
    assert!(world.status().is_retrying);
    world.server.fault = None;
    world.run(300_000);
    world.assert_synced("alice");
    assert_eq!(world.status().consecutive_failures, 0);
    assert_eq!(world.status().last_error, None);
}

#[test]
fn retry_after_is_obeyed_when_longer_and_up_to_an_hour() {
    for (header, least, most) in [
        ("1", 5_000, 7_500),
        ("60", 60_000, 60_000),
        ("315360000", 3_600_000, 3_600_000),
        ("soon", 5_000, 7_500),
    ] {
        for code in [429, 503] {
            let mut world = started();
            world.latency = 0;
            let body = "";
            let fault = Fault::Answer {
                status: code,
                retry_after: Some(header),
                body,
            };
            world.server.script.push_back(fault);
            world.put(FILES, "a", "1");
            world.run(4_000_000);
            let gap = world.gaps(0)[1];
            assert!((least..=most).contains(&gap), "{header} {code}: {gap}");
            world.assert_synced("alice");
        }
    }
}

#[test]
fn five_failures_open_the_breaker_and_capture_goes_on() {
    let mut world = started();
    world.server.fault = Some(Fault::Network);
    world.put(FILES, "a", "1");
    world.run(120_000);
    assert_eq!(world.sent.len(), 5);
    let status = world.status();
    assert_eq!(status.phase, Phase::Disabled);
    assert_eq!(status.disabled_reason, Some(DisabledReason::Failures));
    assert!(!status.is_enabled);
    assert_eq!(status.consecutive_failures, 5);
    world.put(FILES, "b", "2");
    world.run(60_000);
    assert_eq!(world.sent.len(), 5);
    assert_eq!(world.status().pending, 2);
    let failed: Vec<_> = world
        .lines()
        .into_iter()
        .filter(|line| line.contains("failed"))
        .collect();
    assert_eq!(
        failed[4],
        "Auto-sync service: Sync failed (5/5): the server could not be reached"
    );
}

#[test]
fn an_open_breaker_is_probed_for_ever_and_recovers_with_catch_up() {
    let mut world = started();
    world.server.fault = Some(Fault::Network);
    world.put(FILES, "a", "1");
    world.run(7 * 24 * 3_600_000);
    let probes = world.sent.len() - 5;
    assert!((1_950..=2_016).contains(&probes), "{probes}");
    assert!(
        world
            .gaps(0)
            .iter()
            .skip(6)
            .all(|gap| (300_000..=305_100).contains(gap))
    );
    world.server.fault = None;
    for n in 0..2_500 {
        world.put(FILES, &format!("k{n}"), "1");
    }
    world.run(310_000);
    world.assert_synced("alice");
    assert!(world.status().is_enabled);
}

#[test]
fn an_open_breaker_gives_one_probe_to_online_visible_and_a_call() {
    let mut world = started();
    world.server.fault = Some(Fault::Network);
    world.put(FILES, "a", "1");
    world.run(120_000);
    world.show(false);
    world.run(10);
    world.show(true);
    world.run(1_000);
    assert_eq!(world.sent.len(), 6);
    world.go(false);
    world.go(true);
    world.run(5_100);
    assert_eq!(world.sent.len(), 7);
    let call = world.force();
    world.run(100);
    assert_eq!(world.sent.len(), 8);
    assert_eq!(world.resolved.get(&call), Some(&false));
    world.server.fault = None;
    let call = world.force();
    world.run(200);
    assert_eq!(world.resolved.get(&call), Some(&true));
    assert!(world.status().is_enabled);
    world.assert_synced("alice");
}

#[test]
fn coming_online_does_not_cut_short_what_the_server_asked_for() {
    let mut world = started();
    world.server.fault = Some(Fault::Answer {
        status: 503,
        retry_after: Some("600"),
        body: "",
    });
    world.put(FILES, "a", "1");
    world.run(10_000);
    assert_eq!(world.sent.len(), 1);
    world.server.fault = None;
    world.go(false);
    world.go(true);
    world.run(500_000);
    assert_eq!(world.sent.len(), 1);
    world.run(110_000);
    world.assert_synced("alice");
}

#[test]
fn what_is_no_failure_of_the_server_does_not_open_the_breaker() {
    for fault in [
        status(429),
        status(413),
        Fault::Refuse {
            status: 422,
            code: "bad-value",
        },
    ] {
        let mut world = started();
        world.server.fault = Some(fault.clone());
        world.put(FILES, "a", "1");
        world.run(3_600_000);
        assert_eq!(world.status().consecutive_failures, 0, "{fault:?}");
        assert!(world.status().is_enabled);
    }
}

#[test]
fn the_network_comes_back_and_the_first_attempt_is_spread() {
    let mut spread = std::collections::BTreeSet::new();
    for seed in 0..20 {
        let mut world = started();
        world.config.seed[1] = seed;
        world.start();
        world.run(70_000);
        world.go(false);
        world.put(FILES, "a", "1");
        world.run(60_000);
        assert_eq!(world.sent.len(), 0);
        assert_eq!(world.status().phase, Phase::Offline);
        let at = world.now.monotonic_ms;
        world.go(true);
        world.run(5_100);
        world.assert_synced("alice");
        spread.insert(world.sent[0].at - at);
    }
    assert!(
        spread.len() > 15 && *spread.iter().max().expect("some") > 3_000,
        "{spread:?}"
    );
}

#[test]
fn a_browser_that_wrongly_says_offline_does_not_stop_sync_for_ever() {
    let mut world = started();
    world.go(false);
    world.put(FILES, "a", "1");
    world.run(301_000);
    world.assert_synced("alice");
}

#[test]
fn going_offline_does_not_shorten_what_the_server_has_asked_for() {
    let mut world = started();
    world.server.fault = Some(Fault::Answer {
        status: 503,
        retry_after: Some("600"),
        body: "",
    });
    world.put(FILES, "a", "1");
    world.run(3_000);
    let asked = world.sent.len();
    world.go(false);
    world.run(500_000);
    assert_eq!(world.sent.len(), asked);
    world.run(110_000);
    assert!(world.sent.len() > asked);
}

#[test]
fn skipped_tables_and_other_users_are_no_reason_but_travel_along() {
    let mut world = started();
    world.show(false);
    world.put("checkpoints", "a", "1");
    world.put("conversationMemories", "a", "1");
    world.write_as(
        FILES,
        RowUser::User("bob".to_owned()),
        Row::default().put("x", "1"),
    );
    world.run(50_000);
    assert_eq!(world.sent.len(), 0);
    world.put(FILES, "b", "1");
    world.run(3_000);
    assert_eq!((world.sent.len(), world.sent[0].ops), (1, 3));
    assert_eq!(world.status().waiting, 1);
    assert!(world.server.values("bob", FILES).is_empty());
}

#[test]
fn a_predicate_of_the_app_makes_a_change_no_reason() {
    let mut world = started();
    world.show(false);
    world
        .disk
        .write(FILES, RowUser::Owner, 0, Row::default().put("a", "1"));
    world.input(Input::Captured {
        table: FILES.to_owned(),
        user: RowUser::Owner,
        lids: vec!["sa".to_owned()],
        trigger: false,
    });
    world.run(50_000);
    assert_eq!((world.sent.len(), world.status().pending), (0, 1));
}

#[test]
fn the_setting_stops_sync_and_outlives_a_reload() {
    let mut world = started();
    world.input(Input::SetEnabled { enabled: false });
    world.put(FILES, "a", "1");
    world.run(600_000);
    assert_eq!(world.sent.len(), 0);
    world.start();
    world.run(600_000);
    assert_eq!(world.sent.len(), 0);
    assert_eq!(world.status().disabled_reason, Some(DisabledReason::User));
    assert_eq!(world.status().phase, Phase::Disabled);
    let call = world.force();
    world.run(100);
    assert_eq!(
        (world.sent.len(), world.resolved.get(&call)),
        (1, Some(&true))
    );
    world.put(FILES, "b", "1");
    world.input(Input::SetEnabled { enabled: true });
    world.run(10_000);
    world.assert_synced("alice");
}

#[test]
fn a_call_during_a_sync_gets_one_that_began_after_it() {
    let mut world = started();
    world.latency = 1_000;
    world.put(FILES, "a", "1");
    world.run(2_500);
    assert_eq!(world.sent.len(), 1);
    world.put(FILES, "a", "2");
    let call = world.force();
    world.run(1_600);
    assert_eq!(world.resolved.get(&call), None);
    world.run(2_000);
    assert_eq!(world.resolved.get(&call), Some(&true));
    world.assert_synced("alice");
    assert_eq!(world.sent.len(), 2);
}

#[test]
fn the_four_lines_are_word_for_word() {
    let mut world = World::new(&[FILES]);
    world.start();
    world.put(FILES, "a", "1");
    world.server.script.push_back(Fault::Hang);
    world.run(60_000);
    let expected = [
        (LogLevel::Info, "Auto-sync service: Event listeners set up"),
        (
            LogLevel::Info,
            "Auto-sync service: Syncing 1 changes to cloud...",
        ),
        (
            LogLevel::Warn,
            "Auto-sync service: Sync failed (1/5): the server did not answer in time",
        ),
        (
            LogLevel::Info,
            "Auto-sync service: Syncing 1 changes to cloud...",
        ),
        (
            LogLevel::Info,
            "Auto-sync service: Sync completed successfully",
        ),
    ];
    let lines: Vec<_> = world
        .logs
        .iter()
        .map(|(level, line)| (*level, line.as_str()))
        .collect();
    assert_eq!(lines, expected);
}

#[test]
fn clock_jumps_decide_nothing() {
    let mut world = started();
    let wall = world.now.wall_ms;
    world.put(FILES, "a", "1");
    for jump in [0, wall + 10 * 365 * 86_400_000, 1] {
        world.now.wall_ms = jump;
        world.run(1_000);
    }
    assert_eq!(world.sent.len(), 1);
    world.now.wall_ms = 0;
    world.put(FILES, "a", "2");
    world.run(10_000);
    assert_eq!(world.sent.len(), 2);
    world.assert_synced("alice");
}
