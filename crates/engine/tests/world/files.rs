//! The table `files` of alice, on the device and on the server.

use tidesync_engine::{Config, Strategy, TableConfig};

use super::World;
use super::disk::Disk;

/// A device that is up to date, with this configuration of the table.
pub fn configured(table: TableConfig) -> World {
    let config = Config {
        tables: vec![("files".to_owned(), table)],
        ..Config::default()
    };
    let mut world = World::with(config, Disk::new(&["files"]));
    world.start();
    world.run(70_000);
    world
}

/// The same with a strategy.
pub fn resolving(conflict: Strategy) -> World {
    configured(TableConfig {
        conflict,
        ..TableConfig::default()
    })
}

/// The same, where a change that waits stands against another device's, which the server has.
pub fn disagreeing(conflict: Strategy) -> World {
    let mut world = resolving(conflict);
    world.put("files", "a", r#"{"x":1}"#);
    world.run(10_000);
    world
        .server
        .change("alice", "files", "sa", Some(r#"{"x":5}"#));
    world.put("files", "a", r#"{"x":2}"#);
    world
}

/// A record as it is on the device.
pub fn here(world: &World, rid: &str) -> Option<String> {
    let values = world.disk.values("files");
    let found = values.into_iter().find(|(name, _)| name == rid);
    found.map(|(_, value)| value)
}

/// A record as it is on the server.
pub fn there(world: &World, rid: &str) -> Option<String> {
    let values = world.server.values("alice", "files");
    let found = values.into_iter().find(|(name, _)| name == rid);
    found.map(|(_, value)| value)
}

/// Another device's change, of which the stream tells.
pub fn remote(world: &mut World, rid: &str, value: Option<&str>) {
    world.server.change("alice", "files", rid, value);
    world.poke();
}
