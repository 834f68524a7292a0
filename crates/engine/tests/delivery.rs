//! Nothing is lost, nothing is doubled, nothing holds the rest up, nothing goes out under a wrong
//! name: whatever fails, and wherever it is cut off.

mod world;

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use tidesync_engine::interface::{Input, RowUser, StorageError, TokenReason};
use tidesync_engine::{Initial, Phase, Storage};
use world::disk::{Disk, Row};
use world::server::{Fault, status};
use world::{World, config};

const FILES: &str = "files";
const NOTES: &str = "notes+";

fn started() -> World {
    World::started(&[FILES, NOTES])
}

/// A few transactions of every kind.
fn busy(world: &mut World) {
    world.put(FILES, "a", r#"{"n":1,"t":"x"}"#);
    world.write(
        FILES,
        Row::default().put("b", "1").put("c", "2").delete("b"),
    );
    world.put(NOTES, "1", r#"{"note":1}"#);
    world.run(3_000);
    world.write(
        NOTES,
        Row::default()
            .put("2", r#"{"note":2}"#)
            .put_ref("3", r#"{"note":3}"#),
    );
    world.put(FILES, "a", r#"{"n":2}"#);
    world.delete(FILES, "c");
    world.run(6_000);
    world.write(NOTES, Row::default().delete("2").put("4", r#"{"note":4}"#));
    world.write(
        FILES,
        Row::default()
            .put("d", "1")
            .delete_range("a", "b")
            .put("e", "1"),
    );
    world.run(6_000);
    world.write(FILES, Row::default().clear().put("f", "1"));
    world.put(FILES, "a", r#"{"n":3}"#);
}

#[test]
fn a_record_whose_fields_have_long_names_goes_whole() {
    let mut world = started();
    let name = "x".repeat(1_025);
    world.put(FILES, "a", &format!(r#"{{"{name}":1,"b":1}}"#));
    world.run(60_000);
    world.put(FILES, "a", &format!(r#"{{"{name}":2,"b":1}}"#));
    world.run(60_000);
    world.assert_synced("alice");
    world.put(FILES, "a", r#"{"b":1}"#);
    world.run(60_000);
    world.assert_synced("alice");
}

#[test]
fn every_kind_of_change_arrives() {
    let mut world = started();
    busy(&mut world);
    world.run(60_000);
    world.assert_synced("alice");
    assert_eq!(world.disk.values(FILES).len(), 2);
    assert_eq!(world.disk.values(NOTES).len(), 3);
}

#[test]
fn a_tab_that_dies_anywhere_loses_and_doubles_nothing() {
    for after in [false, true] {
        let mut deaths = 0;
        for at in 0.. {
            let mut world = World::new(&[FILES, NOTES]);
            world.disk.change(FILES, &Row::default().put("old", "1"));
            world
                .disk
                .change(NOTES, &Row::default().put("100", r#"{"old":1}"#));
            world.dies_at = Some((at, after));
            world.start();
            busy(&mut world);
            world.run(120_000);
            world.assert_synced("alice");
            deaths += world.deaths;
            if world.deaths == 0 {
                break;
            }
        }
        assert!(deaths > 40, "{deaths}");
    }
}

#[test]
fn answers_that_are_lost_double_nothing() {
    let mut world = started();
    for n in 0..4 {
        world
            .server
            .script
            .extend([Fault::AnswerLost, Fault::AnswerLost]);
        world.put(FILES, "a", &format!("{n}"));
        world.put(NOTES, "1", &format!("{n}"));
        world.run(60_000);
    }
    world.assert_synced("alice");
    assert_eq!(world.sent.len(), 12);
    assert_eq!(
        world.sent[0].body, world.sent[1].body,
        "a retry sends the same bytes"
    );
}

#[test]
fn a_reload_between_send_and_answer_sends_the_same_bytes() {
    let mut world = started();
    world.latency = 5_000;
    world.put(FILES, "a", "1");
    world.run(3_000);
    assert_eq!(world.sent.len(), 1);
    world.start();
    world.run(1);
    assert_eq!(world.status().pending, 1);
    world.run(20_000);
    assert_eq!(world.sent[0].body, world.sent[1].body);
    world.assert_synced("alice");
}

#[test]
fn a_change_during_the_push_of_its_record_waits_and_follows() {
    let mut world = started();
    world.latency = 2_000;
    world.put(FILES, "a", "1");
    world.run(3_000);
    world.put(FILES, "a", "2");
    world.run(200);
    world.put(FILES, "a", "3");
    assert_eq!(
        (world.status().pending, world.status().buffered_events),
        (1, 2)
    );
    world.run(30_000);
    assert_eq!(world.sent.len(), 2);
    world.assert_synced("alice");
}

#[test]
fn one_poison_operation_among_a_hundred_is_found_held_and_kept() {
    for poisoned in [0, 1, 37, 64, 98, 99] {
        let mut world = started();
        let row = (0..100).fold(Row::default(), |row, n| row.put(&format!("k{n:02}"), "1"));
        world.server.poison.insert(format!("sk{poisoned:02}"));
        world.write(FILES, row);
        world.run(60_000);
        assert!(
            world.sent.len() <= 1 + 9,
            "{poisoned}: {} requests",
            world.sent.len()
        );
        assert_eq!(world.server.values("alice", FILES).len(), 99);
        assert_eq!(world.disk.held.len(), 1);
        let (_, notice, text) = world.disk.held.values().next().expect("a held operation");
        assert_eq!(
            (notice.code.as_str(), notice.lid.clone()),
            ("malformed", format!("sk{poisoned:02}"))
        );
        assert!(
            text.as_ref()
                .is_some_and(|text| text.contains("\"value\":1"))
        );
        assert_eq!((world.status().held, world.status().pending), (1, 0));
        // What takes its place releases it.
        world.server.poison.clear();
        world.put(FILES, &format!("k{poisoned:02}"), "2");
        world.run(10_000);
        assert_eq!((world.disk.held.len(), world.status().held), (0, 0));
        world.assert_synced("alice");
    }
}

#[test]
fn several_poison_operations_are_all_found() {
    let mut world = started();
    let row = (0..64).fold(Row::default(), |row, n| row.put(&format!("k{n:02}"), "1"));
    world
        .server
        .poison
        .extend(["sk03", "sk04", "sk40", "sk63"].map(str::to_owned));
    world.write(FILES, row);
    world.run(60_000);
    assert_eq!(
        (
            world.disk.held.len(),
            world.server.values("alice", FILES).len()
        ),
        (4, 60)
    );
}

#[test]
fn what_a_verdict_refuses_is_held_and_the_rest_goes_on() {
    let mut world = started();
    world.server.rejects.insert("sb".to_owned());
    world.server.conflicts.insert("sc".to_owned());
    world.write(
        FILES,
        Row::default().put("a", "1").put("b", "1").put("c", "1"),
    );
    world.run(1_000);
    let call = world.force();
    world.run(10_000);
    assert_eq!(world.resolved.get(&call), Some(&false));
    assert_eq!((world.status().held, world.status().conflicts), (2, 1));
    assert_eq!(world.server.values("alice", FILES).len(), 1);
    assert_eq!(world.disk.left(), (0, 0));
    world.start();
    world.run(1_000);
    assert_eq!((world.status().held, world.status().conflicts), (2, 1));
}

#[test]
fn what_cannot_be_sent_is_held_and_the_rest_goes_on() {
    let mut world = started();
    world.config.op_bytes_max = 1_000;
    world.start();
    let large = format!("\"{}\"", "x".repeat(2_000));
    world.write(
        FILES,
        Row::default()
            .put("a", "1")
            .put_odd("b")
            .put("c", &large)
            .put("d", "nul"),
    );
    world.run(10_000);
    let codes: Vec<_> = world
        .disk
        .held
        .values()
        .map(|(_, it, _)| it.code.as_str())
        .collect();
    assert_eq!(codes.len(), 3);
    assert!(
        ["unsupported-type", "too-large", "bad-value"]
            .iter()
            .all(|code| codes.contains(code))
    );
    assert_eq!(world.server.values("alice", FILES).len(), 1);
    assert_eq!(world.disk.left(), (0, 0));
}

#[test]
fn an_operation_that_is_put_off_holds_nothing_up() {
    let mut world = started();
    world.latency = 0;
    world.server.puts_off.insert("sb".to_owned(), (3, 20_000));
    world.write(
        FILES,
        Row::default().put("a", "1").put("b", "1").put("c", "1"),
    );
    world.run(3_000);
    assert_eq!(world.server.values("alice", FILES).len(), 2);
    assert_eq!(
        (world.status().pending, world.status().phase),
        (1, Phase::Waiting)
    );
    assert!(world.status().is_retrying);
    world.put(FILES, "d", "1");
    world.put(FILES, "b", "2");
    world.run(10_000);
    assert_eq!(world.server.values("alice", FILES).len(), 3);
    world.run(120_000);
    world.assert_synced("alice");
    assert_eq!(world.status().consecutive_failures, 0);
}

#[test]
fn missing_verdicts_are_asked_for_again() {
    let mut world = started();
    world.server.script.push_back(Fault::NoVerdicts);
    world.put(FILES, "a", "1");
    world.run(3_000);
    assert_eq!(world.status().pending, 1);
    world.run(30_000);
    world.assert_synced("alice");
}

#[test]
fn a_captive_portal_is_not_the_server() {
    for fault in [
        status(200),
        Fault::Answer {
            status: 200,
            retry_after: None,
            body: "{}",
        },
        Fault::Answer {
            status: 200,
            retry_after: None,
            body: r#"{"protocol":1,"batch":"other","epoch":"e","verdicts":[]}"#,
        },
        Fault::Answer {
            status: 200,
            retry_after: None,
            body: r#"{"protocol":2,"batch":"other","epoch":"e","verdicts":[]}"#,
        },
        status(302),
        status(511),
        status(400),
        status(403),
        status(404),
    ] {
        let mut world = started();
        world.server.script.extend([fault.clone(), fault]);
        world.put(FILES, "a", "1");
        world.run(8_000);
        assert_eq!((world.disk.left(), world.disk.held.len()), ((0, 1), 0));
        assert!(world.status().consecutive_failures > 0);
        world.run(60_000);
        world.assert_synced("alice");
    }
}

#[test]
fn a_request_that_is_too_large_is_halved_down_to_one() {
    let mut world = started();
    world.server.ops_max = Some(3);
    let row = (0..40).fold(Row::default(), |row, n| row.put(&format!("k{n}"), "1"));
    world.write(FILES, row);
    world.run(10_000);
    world.assert_synced("alice");
    assert_eq!(world.status().last_error, None);
    world.server.ops_max = None;
    world.server.bytes_max = Some(1_000);
    let large = format!("\"{}\"", "x".repeat(2_000));
    world.write(
        FILES,
        Row::default()
            .put("a", "2")
            .put("big", &large)
            .put("z", "2"),
    );
    world.run(10_000);
    let codes: Vec<_> = world
        .disk
        .held
        .values()
        .map(|(_, it, _)| it.code.as_str())
        .collect();
    assert_eq!(codes, ["too-large"]);
    assert_eq!(world.server.values("alice", FILES).len(), 42);
    assert_eq!(world.status().consecutive_failures, 0);
}

#[test]
fn a_token_is_refreshed_once_then_somebody_must_sign_in() {
    let mut world = started();
    world.server.expired = true;
    world.put(FILES, "a", "1");
    world.run(3_000);
    assert_eq!(world.sent[1].token, TokenReason::Expired);
    world.assert_synced("alice");
    world.server.locked_out = true;
    world.put(FILES, "b", "1");
    world.run(3_600_000);
    assert_eq!(world.sent.len(), 4);
    let status = world.status();
    assert_eq!(
        (status.phase, status.consecutive_failures),
        (Phase::NeedsAuth, 0)
    );
    assert_eq!(
        status.last_error.map(|error| error.code).as_deref(),
        Some("unauthorized")
    );
    for wake in 0..3 {
        let before = world.sent.len();
        match wake {
            0 => world.input(Input::TokenAvailable),
            1 => {
                world.show(false);
                world.show(true);
            }
            _ => {
                world.go(false);
                world.go(true);
            }
        }
        world.run(100_000);
        assert_eq!(world.sent.len(), before + 2, "{wake}");
    }
    world.server.locked_out = false;
    world.force();
    world.run(1_000);
    world.assert_synced("alice");
}

#[test]
fn a_storm_of_401_costs_one_refresh_a_batch_and_loses_nothing() {
    let mut world = started();
    world.config.batch_ops_max = 10;
    world.start();
    let row = (0..200).fold(Row::default(), |row, n| row.put(&format!("k{n}"), "1"));
    world.write(FILES, row);
    for _ in 0..100 {
        world.server.expired = true;
        world.run(100);
    }
    world.run(10_000);
    world.assert_synced("alice");
    assert_eq!(world.status().consecutive_failures, 0);
}

#[test]
fn without_a_token_nothing_is_lost_and_a_failing_get_token_is_tried_again() {
    let mut world = started();
    world.token = None;
    world.put(FILES, "a", "1");
    world.run(600_000);
    assert_eq!(world.status().phase, Phase::NeedsAuth);
    world.token = Some("alice".to_owned());
    world.token_fails = true;
    world.input(Input::TokenAvailable);
    world.run(100);
    assert_eq!(
        (world.status().phase, world.status().consecutive_failures),
        (Phase::BackingOff, 0)
    );
    world.token_fails = false;
    world.run(10_000);
    world.assert_synced("alice");
}

#[test]
fn a_wrong_subject_needs_a_sign_in_and_an_old_protocol_waits_long() {
    let mut world = started();
    world.server.script.push_back(Fault::Refuse {
        status: 403,
        code: "wrong-subject",
    });
    world.put(FILES, "a", "1");
    world.run(600_000);
    assert_eq!(
        (world.sent.len(), world.status().phase),
        (1, Phase::NeedsAuth)
    );
    assert_eq!(
        world.status().last_error.map(|it| it.code).as_deref(),
        Some("wrong-subject")
    );
    world.server.fault = Some(status(426));
    world.input(Input::TokenAvailable);
    world.run(3_590_000);
    assert_eq!(world.sent.len(), 2);
    assert_eq!(
        world.status().last_error.map(|it| it.code).as_deref(),
        Some("upgrade-required")
    );
    world.server.fault = None;
    world.run(20_000);
    world.assert_synced("alice");
}

#[test]
fn a_switch_of_users_in_mid_sync_sends_nothing_under_a_wrong_name() {
    let mut world = started();
    world.latency = 1_000;
    world.put(FILES, "a", r#""alice's""#);
    world.run(2_500);
    assert_eq!(world.sent.len(), 1);
    world.write_as(
        FILES,
        RowUser::Owner,
        Row::default().put("b", r#""alice's""#),
    );
    let call = world.force();
    world.sign_in(Some("bob"));
    world.put(FILES, "c", r#""bob's""#);
    world.run(60_000);
    assert_eq!(world.resolved.len(), 1);
    assert!(world.resolved.contains_key(&call));
    assert!(
        world
            .sent
            .iter()
            .skip(1)
            .all(|sent| !sent.body.contains("alice"))
    );
    assert_eq!(
        world.server.values("bob", FILES),
        [("sc".to_owned(), r#""bob's""#.to_owned())]
    );
    assert_eq!((world.status().pending, world.status().waiting), (0, 2));
    world.start();
    world.run(10_000);
    assert_eq!((world.status().pending, world.status().waiting), (0, 2));
    world.sign_in(Some("alice"));
    world.run(60_000);
    assert_eq!(world.server.values("alice", FILES).len(), 2);
    assert_eq!((world.disk.left(), world.status().waiting), ((0, 0), 0));
    world.assert_once();
    let subjects = |body: &str| body.contains(r#""subject":"alice""#) != body.contains("bob's");
    assert!(world.sent.iter().all(|sent| subjects(&sent.body)));
}

#[test]
fn rows_of_another_user_survive_what_is_consumed_around_them() {
    let mut world = started();
    for n in 0..9 {
        let user = if n % 3 == 0 { "bob" } else { "alice" };
        let row = Row::default().put(&format!("k{n}"), "1");
        world.write_as(FILES, RowUser::User(user.to_owned()), row);
    }
    world.run(10_000);
    assert_eq!(world.server.values("alice", FILES).len(), 6);
    assert_eq!(world.disk.left(), (3, 0));
    world.sign_in(Some("bob"));
    world.run(10_000);
    assert_eq!(world.server.values("bob", FILES).len(), 3);
    assert_eq!(world.disk.left(), (0, 0));
}

#[test]
fn signed_out_nothing_is_sent_and_what_nobody_wrote_waits() {
    let mut world = started();
    world.sign_in(None);
    world.put(FILES, "a", "1");
    world.run(600_000);
    let call = world.force();
    assert_eq!(world.resolved.get(&call), Some(&false));
    assert_eq!(
        (world.sent.len(), world.status().phase),
        (0, Phase::NeedsAuth)
    );
    world.sign_in(Some("alice"));
    world.run(60_000);
    assert_eq!((world.sent.len(), world.status().waiting), (0, 1));
    let call = world.backup();
    world.run(1_000);
    assert_eq!(
        (world.sent.len(), world.resolved.get(&call)),
        (0, Some(&true))
    );
}

#[test]
fn what_the_first_user_has_adopted_stays_theirs_when_another_signs_in() {
    let config = tidesync_engine::Config {
        adopt_anonymous: true,
        ..config()
    };
    let mut world = World::with(config, Disk::new(&[FILES]));
    world.user = None;
    // Nothing is staged before somebody calls for it.
    world.enabled = Some(false);
    world.start();
    world.put(FILES, "a", r#"{"n":1}"#);
    world.run(1_000);
    world.sign_in(Some("alice"));
    world.run(1_000);
    assert_eq!(world.status().pending, 1);
    world.sign_in(Some("bob"));
    world.force();
    world.run(1_000);
    assert_eq!(world.server.values("bob", FILES), []);
    assert_eq!(world.status().waiting, 1);
    world.sign_in(Some("alice"));
    world.force();
    world.run(1_000);
    world.assert_synced("alice");
}

#[test]
fn what_was_written_before_anybody_signed_in_waits_unless_adopted() {
    for adopt in [false, true] {
        let config = tidesync_engine::Config {
            adopt_anonymous: adopt,
            ..config()
        };
        let mut world = World::with(config, Disk::new(&[FILES]));
        world.disk.change(FILES, &Row::default().put("old", "1"));
        world.user = None;
        world.start();
        world.write_as(FILES, RowUser::Owner, Row::default().put("a", "1"));
        world.write_as(FILES, RowUser::Nobody, Row::default().put("b", "1"));
        world.run(10_000);
        world.sign_in(Some("alice"));
        world.run(60_000);
        let expected = if adopt { 3 } else { 1 };
        assert_eq!(world.server.values("alice", FILES).len(), expected);
        assert_eq!(world.status().waiting, 3 - expected as u64);
        world.sign_in(Some("bob"));
        world.run(60_000);
        assert_eq!(world.server.values("bob", FILES).len(), 0);
    }
}

#[test]
fn the_first_scan_uploads_what_was_there_once_and_goes_on_after_a_reload() {
    let mut world = World::new(&[FILES, NOTES]);
    for n in 0..2_500 {
        world.disk.change(
            FILES,
            &Row::default().put(&format!("k{n:04}"), &format!("{n}")),
        );
        world
            .disk
            .change(NOTES, &Row::default().put(&format!("{n}"), &format!("{n}")));
    }
    world.start();
    world.run(2_120);
    assert!(
        world
            .status()
            .progress
            .is_some_and(|it| it.done > 0 && it.total >= 2_500)
    );
    assert!(world.sent.len() < 5);
    world.start();
    world.run(30_000);
    world.assert_synced("alice");
    assert_eq!(world.server.records.len(), 5_000);
    let before = world.sent.len();
    world.start();
    world.run(120_000);
    assert_eq!(world.sent.len(), before);
}

#[test]
fn the_first_scan_takes_nothing_of_another_user() {
    let mut config = config();
    config.batch_ops_max = 1;
    let mut world = World::with(config, Disk::new(&[FILES]));
    for key in ["a", "b"] {
        world.disk.change(FILES, &Row::default().put(key, "1"));
    }
    world.server.fault = Some(Fault::Network);
    world.start();
    world.run(3_000);
    world.server.fault = None;
    world.server.rejects.insert("sz".to_owned());
    world.sign_in(Some("bob"));
    world.put(FILES, "z", "\"bob\"");
    world.run(10_000);
    assert_eq!(world.disk.held.len(), 1);
    // A table that is tracked from now on has records of both.
    world.disk.tables.extend(Disk::new(&["later"]).tables);
    world.disk.change("later", &Row::default().put("y", "1"));
    world.server.rejects.clear();
    world.user = Some("alice".to_owned());
    world.token = Some("alice".to_owned());
    world.start();
    world.run(70_000);
    let sent = [("sa", "1"), ("sb", "1")].map(|(lid, value)| (lid.to_owned(), value.to_owned()));
    assert_eq!(world.server.values("alice", FILES), sent);
    assert_eq!(world.server.values("alice", "later"), []);
}

#[test]
fn what_an_upgrade_of_the_app_wrote_is_uploaded() {
    let mut world = started();
    world.put(FILES, "a", "1");
    world.run(20_000);
    world
        .disk
        .change(FILES, &Row::default().put("a", "2").put("b", "1"));
    world.disk.version = 2;
    world.start();
    world.run(70_000);
    world.assert_synced("alice");
    let sent = world.sent.len();
    world.start();
    world.run(70_000);
    assert_eq!(world.sent.len(), sent);
}

#[test]
fn the_first_scan_can_be_declined() {
    let config = tidesync_engine::Config {
        initial: Initial::Ignore,
        ..config()
    };
    let mut world = World::with(config, Disk::new(&[FILES]));
    world.disk.change(FILES, &Row::default().put("old", "1"));
    world.start();
    world.put(FILES, "new", "1");
    world.run(60_000);
    assert_eq!(world.server.values("alice", FILES).len(), 1);
}

#[test]
fn a_backup_confirms_everything_and_never_deletes() {
    let mut world = started();
    for n in 0..1_500 {
        world.put(FILES, &format!("k{n:04}"), &format!(r#"{{"n":{n}}}"#));
    }
    world.run(30_000);
    let before = world.sent.len();
    world.disk.change(
        FILES,
        &Row::default()
            .put("k0007", "7")
            .put("odd", "1")
            .delete("k0008"),
    );
    world.put(FILES, "k0009", "9");
    let call = world.backup();
    world.run(5_000);
    assert_eq!(world.resolved.get(&call), Some(&true));
    let ops: usize = world.sent[before..].iter().map(|sent| sent.ops).sum();
    assert_eq!(ops, 3);
    assert_eq!(world.server.values("alice", FILES).len(), 1_501);
    let call = world.backup();
    world.server.fault = Some(Fault::Network);
    world.disk.change(FILES, &Row::default().put("k0007", "8"));
    world.run(5_000);
    assert_eq!(world.resolved.get(&call), Some(&false));
    world.server.fault = None;
    world.server.rejects.insert("sk0007".to_owned());
    let call = world.backup();
    world.run(5_000);
    assert_eq!(world.resolved.get(&call), Some(&false));
}

#[test]
fn a_page_without_records_is_not_the_end_of_a_scan() {
    let mut config = config();
    config.batch_ops_max = 4;
    let mut world = World::with(config, Disk::new(&[FILES]));
    for n in 0..10 {
        let row = Row::default().put(&format!("old{n}"), "1");
        world.disk.change(FILES, &row);
    }
    world.disk.empty_pages = 3;
    world.start();
    world.run(70_000);
    world.assert_synced("alice");
    for n in 0..10 {
        let row = Row::default().put(&format!("old{n}"), "2");
        world.disk.change(FILES, &row);
    }
    world.disk.empty_pages = 2;
    let call = world.backup();
    world.run(1);
    world.disk.empty_pages += 1;
    world.run(10_000);
    assert!(world.resolved[&call]);
    world.assert_synced("alice");
}

#[test]
fn a_call_is_not_confirmed_while_a_change_waits_at_the_servers_wish() {
    let mut world = started();
    world.server.puts_off.insert("sb".to_owned(), (1, 600_000));
    world.put(FILES, "b", "1");
    world.run(10_000);
    let call = world.force();
    world.run(1_000);
    assert!(!world.resolved[&call], "staged");
    world.put(FILES, "b", "2");
    let call = world.backup();
    world.run(1_000);
    assert!(!world.resolved[&call], "staged, and a row behind it");
    world.run(700_000);
    let call = world.force();
    world.run(1_000);
    assert!(world.resolved[&call]);
    world.assert_synced("alice");
}

#[test]
fn a_backup_is_not_confirmed_where_a_record_is_left_out() {
    let mut world = World::started(&["files"]);
    world.put("files", "a", r#"{"n":1}"#);
    world.disk.nameless = 1;
    let call = world.backup();
    world.run(20_000);
    assert_eq!(world.resolved.get(&call), Some(&false));
    world.disk.nameless = 0;
    let call = world.backup();
    world.run(20_000);
    assert_eq!(world.resolved.get(&call), Some(&true));
    world.assert_synced("alice");
}

#[test]
fn a_call_of_one_user_is_not_answered_by_the_sync_of_the_next() {
    let mut world = World::started(&["files"]);
    world.start();
    // The database is still read.
    let call = world.force();
    world.sign_in(Some("bob"));
    assert_eq!(world.resolved.get(&call), Some(&false));
    let call = world.force();
    world.run(20_000);
    assert_eq!(world.resolved.get(&call), Some(&true));
}

#[test]
fn a_backup_is_not_confirmed_while_a_change_is_held() {
    let mut world = started();
    world.server.rejects.insert("sb".to_owned());
    world.put(FILES, "b", "1");
    world.run(10_000);
    world.disk.change(FILES, &Row::default().delete("b"));
    let call = world.force();
    world.run(1_000);
    assert!(world.resolved[&call], "nothing of this sync is held");
    let call = world.backup();
    world.run(1_000);
    assert!(!world.resolved[&call]);
}

/// Alice's large value, which bob changes before it is staged.
fn overwritten_by_bob(bob: Row) -> World {
    let mut world = started();
    world.write(FILES, Row::default().put_ref("a", "\"alice\""));
    world.sign_in(Some("bob"));
    world.write(FILES, bob);
    world
}

#[test]
fn a_value_logged_by_reference_is_not_sent_when_another_user_changed_it() {
    for bob_syncs in [false, true] {
        for bob in [
            Row::default().put("a", "\"bob\""),
            Row::default().delete("a"),
        ] {
            let mut world = overwritten_by_bob(bob);
            world.run(if bob_syncs { 20_000 } else { 0 });
            world.sign_in(Some("alice"));
            world.run(20_000);
            assert_eq!(world.server.values("alice", FILES), []);
            let codes: Vec<_> = world.disk.held.values().map(|it| &it.1.code).collect();
            assert_eq!(codes, ["overwritten"]);
        }
    }
}

#[test]
fn a_value_logged_by_reference_after_another_users_change_is_sent() {
    let mut world = started();
    world.sign_in(Some("bob"));
    world.put(FILES, "a", "\"bob\"");
    world.sign_in(Some("alice"));
    world.write(FILES, Row::default().put_ref("a", "\"alice\""));
    world.run(20_000);
    assert_eq!(world.server.values("alice", FILES).len(), 1);
}

#[test]
fn a_value_logged_by_reference_that_is_gone_removes_what_the_server_has() {
    let mut world = started();
    world.put(FILES, "a", "1");
    world.run(20_000);
    world.write(FILES, Row::default().put_ref("a", "2"));
    world.write(FILES, Row::default().put_ref("b", "2"));
    world
        .disk
        .change(FILES, &Row::default().delete("a").delete("b"));
    world.run(20_000);
    assert_eq!(world.sent.last().map(|sent| sent.ops), Some(1));
    world.assert_synced("alice");
}

#[test]
fn a_backup_of_a_second_user_takes_nothing_of_the_first() {
    let mut world = started();
    world.put(FILES, "a", "1");
    world.run(10_000);
    world.sign_in(Some("bob"));
    world.put(FILES, "b", "1");
    world.disk.change(FILES, &Row::default().put("c", "1"));
    let call = world.backup();
    world.run(10_000);
    assert_eq!(world.resolved.get(&call), Some(&true));
    assert_eq!(world.server.values("bob", FILES).len(), 1);
}

#[test]
fn clearing_a_large_table_removes_all_of_it_in_portions() {
    let mut world = started();
    let value = format!(r#"{{"text":"{}","m":1,"n":2}}"#, "x".repeat(60));
    for start in (0..12_000).step_by(500) {
        let keys = start..start + 500;
        let row = keys.fold(Row::default(), |row, n| {
            row.put(&format!("key-{n:05}"), &value)
        });
        world.write(FILES, row);
    }
    world.run(60_000);
    world.assert_synced("alice");
    let pages = world.disk.pages.values();
    assert!(world.disk.pages.len() > 8 && pages.clone().all(|page| page.len() < 64 * 1024));
    world.write(
        FILES,
        Row::default().put("before", "1").clear().put("after", "1"),
    );
    world.put(FILES, "key-00001", "1");
    world.run(60_000);
    world.assert_synced("alice");
    assert_eq!(world.disk.values(FILES).len(), 2);
    assert_eq!(world.status().pending, 0);
}

#[test]
fn a_removed_range_is_pending_until_it_is_staged() {
    let mut world = started();
    world.put(FILES, "a", "1");
    world.run(20_000);
    world.user = Some("alice".to_owned());
    world.server.fault = Some(Fault::Network);
    world.write(FILES, Row::default().clear());
    world.start();
    world.run(1_000);
    let status = world.status();
    assert_eq!((status.pending, status.has_pending_sync), (1, true));
    world.server.fault = None;
    world.run(60_000);
    assert_eq!(
        (world.status().pending, world.status().has_pending_sync),
        (0, false)
    );
    world.assert_synced("alice");
}

#[test]
fn the_counts_survive_a_reload_and_are_corrected() {
    let mut world = started();
    world.server.fault = Some(Fault::Network);
    for n in 0..30 {
        world.put(FILES, &format!("k{}", n % 10), &format!("{n}"));
    }
    assert_eq!(
        (world.status().pending, world.status().buffered_events),
        (10, 30)
    );
    world.run(4_000);
    assert_eq!(
        (world.status().pending, world.status().buffered_events),
        (10, 0)
    );
    world.put(FILES, "k0", "30");
    world.put(FILES, "new", "31");
    assert_eq!(
        (world.status().pending, world.status().buffered_events),
        (11, 2)
    );
    world.start();
    world.run(100);
    assert_eq!(
        (world.status().pending, world.status().buffered_events),
        (11, 2)
    );
    // A hint of a change that is not in the log is dropped when the log was read.
    let lids = vec!["sghost".to_owned()];
    let user = RowUser::Owner;
    world.input(Input::Captured {
        table: FILES.to_owned(),
        user,
        lids,
        trigger: true,
    });
    assert_eq!(world.status().pending, 12);
    world.server.fault = None;
    world.run(60_000);
    world.assert_synced("alice");
    let lines = world.lines();
    assert!(
        lines.contains(&"Auto-sync service: Syncing 32 changes to cloud..."),
        "{lines:?}"
    );
    assert_eq!(
        (world.status().pending, world.status().buffered_events),
        (0, 0)
    );
}

#[test]
fn generated_keys_get_names_of_their_own_and_a_rewound_generator_new_ones() {
    let mut world = started();
    world.put(NOTES, "1", r#""one""#);
    world.run(10_000);
    world.put(NOTES, "1", r#""one!""#);
    world.run(10_000);
    assert_eq!(world.server.records.len(), 1);
    world.delete(NOTES, "1");
    world.run(10_000);
    world.put(NOTES, "1", r#""another""#);
    world.run(10_000);
    assert_eq!(world.server.records.len(), 2);
    world.assert_synced("alice");
    world.write(NOTES, Row::default().put("2", "1").delete("2"));
    world.run(10_000);
    assert_eq!(world.server.records.len(), 2);
    world.assert_synced("alice");
}

#[test]
fn a_full_disk_is_told_and_tried_again() {
    let mut world = started();
    world.put(FILES, "a", "1");
    world.run(1_990);
    world.storage_faults = vec![StorageError::Full; 3];
    world.run(20);
    assert_eq!(world.status().storage, Storage::Full);
    assert_eq!(world.status().pending, 1);
    world.run(120_000);
    world.assert_synced("alice");
    assert_eq!(world.status().storage, Storage::Ok);
}

#[test]
fn a_lost_connection_is_opened_anew_at_most_three_times_then_on_demand() {
    for (faults, phase) in [(3, Phase::Idle), (20, Phase::StorageFailed)] {
        let mut world = started();
        world.put(FILES, "a", "1");
        world.storage_faults = vec![StorageError::Closed; faults];
        world.run(120_000);
        assert_eq!(world.status().phase, phase, "{faults}");
        world.storage_faults.clear();
        let call = world.force();
        world.run(10_000);
        assert_eq!(world.resolved.get(&call), Some(&true));
        world.assert_synced("alice");
    }
}

#[test]
fn every_storage_step_may_fail_once() {
    for at in 0..25 {
        for fault in [StorageError::Full, StorageError::Closed] {
            let mut world = started();
            busy(&mut world);
            let effects = world.effects + at;
            while world.effects < effects {
                world.run(10);
            }
            world.storage_faults.push(fault);
            world.run(120_000);
            world.assert_synced("alice");
        }
    }
}

#[test]
fn a_newer_database_is_left_alone() {
    let mut world = World::new(&[FILES]);
    world.disk.meta = Some(r#"{"format":2,"other":1}"#.to_owned());
    world.start();
    world.put(FILES, "a", "1");
    world.run(600_000);
    assert_eq!(world.status().phase, Phase::StorageFailed);
    assert_eq!(world.disk.left(), (1, 0));
    let call = world.force();
    assert_eq!(world.resolved.get(&call), Some(&false));
}

#[test]
fn a_late_leader_has_no_effect() {
    let mut world = started();
    world.put(FILES, "a", "1");
    world.disk.fence += 1;
    let before = world.disk.staged.len();
    let call = world.force();
    world.run(10_000);
    assert!(world.closed);
    assert_eq!((world.sent.len(), world.disk.staged.len()), (0, before));
    assert_eq!(world.resolved.get(&call), Some(&false));
    let call = world.force();
    assert_eq!(world.resolved.get(&call), Some(&false));
    world.start();
    world.run(10_000);
    world.assert_synced("alice");
}

#[test]
fn stop_aborts_and_answers_every_call() {
    let mut world = started();
    world.put(FILES, "a", "1");
    world.run(2_010);
    let call = world.force();
    world.input(Input::Stop);
    assert!(world.closed);
    assert_eq!(world.resolved.get(&call), Some(&false));
    assert_eq!(world.engine.poll_timeout(), None);
}

#[test]
fn ten_thousand_in_one_transaction_are_ten_batches() {
    let mut world = started();
    for start in (0..10_000).step_by(1_000) {
        let keys = start..start + 1_000;
        let row = keys.fold(Row::default(), |row, n| row.put(&format!("k{n}"), "1"));
        world.write(FILES, row);
    }
    world.run(10_000);
    world.assert_synced("alice");
    assert_eq!(world.sent.len(), 10);
    assert!(
        world
            .lines()
            .contains(&"Auto-sync service: Syncing 10000 changes to cloud...")
    );
}

#[test]
fn storage_that_can_be_read_again_is_not_called_blocked() {
    let mut world = World::started(&["files"]);
    world.put("files", "a", r#"{"n":1}"#);
    world.storage_faults.push(StorageError::Closed);
    world.run(2_100);
    assert_eq!(world.status().storage, Storage::Blocked);
    // The change is gone by the time the database is opened again: there is nothing to write.
    world
        .disk
        .tables
        .get_mut("files")
        .expect("a table")
        .log
        .clear();
    world.server.push_only = true;
    world.run(60_000);
    assert_eq!(world.status().storage, Storage::Ok);
}

#[test]
fn a_held_change_is_told_without_its_content() {
    let mut world = World::started(&["files"]);
    world.server.rejects.insert("ssecret".to_owned());
    world.put("files", "secret", r#"{"n":"hidden"}"#);
    world.run(10_000);
    assert!(
        world
            .lines()
            .contains(&"Change held (table files): bad-value")
    );
    let told = world.lines().join("\n");
    assert!(
        !told.contains("secret") && !told.contains("hidden"),
        "{told}"
    );
}
