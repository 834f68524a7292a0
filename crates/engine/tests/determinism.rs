//! The same seed and inputs give the same effects, and recorded traces replay.
//!
//! `TIDESYNC_WRITE_TRACES=1 cargo test -p tidesync-engine --test determinism` writes the traces anew.

#![allow(clippy::disallowed_methods, reason = "recording a trace is an effect")]
#![cfg(not(target_arch = "wasm32"))]

mod world;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use tidesync_engine::interface::{Effect, Input, Now, RowUser, StorageError};
use tidesync_engine::{Config, Engine, TimerReason};
use world::World;
use world::disk::Row;
use world::server::{Fault, status};

/// A recorded run.
#[derive(Serialize, Deserialize)]
struct Trace {
    config: Config,
    steps: Vec<Step>,
}

/// One input, what the engine asked for, and when it wants to be woken.
#[derive(Serialize, Deserialize)]
struct Step {
    now: Now,
    input: Input,
    effects: Vec<Effect>,
    timeout: Option<Wake>,
}

#[derive(Serialize, Deserialize)]
struct Wake {
    at: u64,
    reason: String,
}

fn wake(timeout: Option<(u64, TimerReason)>) -> Option<Wake> {
    let name = |reason| serde_json::to_value(reason).expect("a reason");
    timeout.map(|(at, reason)| Wake {
        at,
        reason: name(reason).as_str().expect("text").to_owned(),
    })
}

/// The steps since the last start, as JSON with a line per step.
fn json(world: &World) -> String {
    let start = world
        .trace
        .iter()
        .rposition(|it| matches!(it.input, Input::Start { .. }));
    let steps = &world.trace[start.expect("a start")..];
    let config = serde_json::to_string(&world.config).expect("a configuration");
    let mut text = format!("{{\"config\":{config},\"steps\":[\n");
    for (at, step) in steps.iter().enumerate() {
        let step = Step {
            now: step.now,
            input: step.input.clone(),
            effects: step.effects.clone(),
            timeout: wake(step.timeout),
        };
        text.push_str(&serde_json::to_string(&step).expect("a step"));
        text.push_str(if at + 1 < steps.len() { ",\n" } else { "\n" });
    }
    text.push_str("]}\n");
    text
}

fn scenarios() -> Vec<(&'static str, World)> {
    vec![
        ("put", put()),
        ("kinds", kinds()),
        ("refusals", refusals()),
        ("outage", outage()),
        ("users", users()),
        ("scan", scan()),
        ("reload", reload()),
    ]
}

fn put() -> World {
    let mut world = World::new(&["files"]);
    world.start();
    world.put("files", "a", r#"{"name":"a","size":1}"#);
    world.run(20_000);
    world
}

fn kinds() -> World {
    let mut world = World::new(&["files", "notes+"]);
    world.start();
    world.write(
        "files",
        Row::default()
            .put("a", "1")
            .put_ref("b", r#"{"b":[1]}"#)
            .delete("a"),
    );
    world.put("notes+", "1", r#"{"text":"\u00e9"}"#);
    world.run(10_000);
    world.write("notes+", Row::default().put("1", "2").put("2", "3"));
    world.write(
        "files",
        Row::default()
            .put("c", "1")
            .delete_range("a", "b")
            .put("d", "4"),
    );
    world.run(10_000);
    world.write("files", Row::default().clear());
    world.run(10_000);
    world
}

fn refusals() -> World {
    let mut world = World::new(&["files"]);
    world.start();
    world.server.poison.insert("sk3".to_owned());
    world.server.rejects.insert("sk5".to_owned());
    world.server.conflicts.insert("sk6".to_owned());
    world.server.puts_off.insert("sk7".to_owned(), (1, 10_000));
    let row = (0..10).fold(Row::default(), |row, n| row.put(&format!("k{n}"), "1"));
    world.write("files", row.put_odd("odd"));
    world.run(30_000);
    world.server.ops_max = Some(2);
    let row = (0..5).fold(Row::default(), |row, n| row.put(&format!("m{n}"), "1"));
    world.write("files", row);
    world.run(10_000);
    world
}

fn outage() -> World {
    let mut world = World::new(&["files"]);
    world.start();
    world
        .server
        .script
        .extend([Fault::Network, Fault::Hang, status(503), status(200)]);
    world.server.script.push_back(Fault::AnswerLost);
    world.put("files", "a", "1");
    world.run(200_000);
    world.go(false);
    world.go(true);
    world.force();
    world.run(20_000);
    world.storage_faults = vec![StorageError::Full, StorageError::Closed];
    world.put("files", "b", "1");
    world.run(60_000);
    world
}

fn users() -> World {
    let mut world = World::new(&["files"]);
    world.start();
    world.latency = 1_000;
    world.put("files", "a", "1");
    world.run(2_500);
    world.write_as("files", RowUser::Owner, Row::default().put("b", "1"));
    world.sign_in(Some("bob"));
    world.put("files", "c", "1");
    world.run(20_000);
    world.server.expired = true;
    world.sign_in(Some("alice"));
    world.run(20_000);
    world
}

fn scan() -> World {
    let mut world = World::new(&["files"]);
    world.config.batch_ops_max = 10;
    for n in 0..25 {
        world
            .disk
            .change("files", &Row::default().put(&format!("k{n:02}"), "1"));
    }
    world.start();
    world.put("files", "k03", "2");
    world.run(20_000);
    world.disk.change("files", &Row::default().put("k04", "3"));
    world.backup();
    world.run(10_000);
    world
}

fn reload() -> World {
    let mut world = World::new(&["files"]);
    world.start();
    world.latency = 5_000;
    world.put("files", "a", "1");
    world.run(3_000);
    world.put("files", "b", "1");
    world.start();
    world.run(30_000);
    world
}

#[test]
fn the_same_seed_and_inputs_give_the_same_effects() {
    for ((name, one), (_, two)) in scenarios().into_iter().zip(scenarios()) {
        assert_eq!(json(&one), json(&two), "{name}");
    }
}

#[test]
fn another_seed_gives_other_effects() {
    let mut world = World::new(&["files"]);
    world.config.seed[5] = 9;
    world.start();
    world.put("files", "a", r#"{"name":"a","size":1}"#);
    world.run(20_000);
    assert_ne!(json(&world), json(&put()));
}

#[test]
fn recorded_traces_replay() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("traces");
    let write = std::env::var_os("TIDESYNC_WRITE_TRACES").is_some();
    for (name, world) in scenarios() {
        let path = folder.join(name).with_extension("json");
        let now = json(&world);
        if write {
            std::fs::create_dir_all(&folder).expect("a folder for the traces");
            std::fs::write(&path, &now).expect("a trace written");
        }
        let recorded = std::fs::read_to_string(&path).expect("a recorded trace");
        assert!(
            recorded == now,
            "{name}: the effects are not those that were recorded"
        );
        replay(&recorded, name);
    }
}

/// A trace needs nothing but itself.
fn replay(text: &str, name: &str) {
    let trace: Trace = serde_json::from_str(text).expect("a trace");
    let mut engine = Engine::new(trace.config);
    for (at, step) in trace.steps.into_iter().enumerate() {
        engine.handle_input(step.now, step.input);
        let effects: Vec<Effect> = std::iter::from_fn(|| engine.poll_effect()).collect();
        assert_eq!(effects, step.effects, "{name}, step {at}");
        let timeout = wake(engine.poll_timeout()).map(|wake| (wake.at, wake.reason));
        assert_eq!(
            timeout,
            step.timeout.map(|wake| (wake.at, wake.reason)),
            "{name}, step {at}"
        );
    }
}
