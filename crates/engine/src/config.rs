//! What an app can configure of the engine. The defaults are those of the documentation.

use serde::{Deserialize, Serialize};
use tidesync_protocol::json::{Json, read};
use tidesync_protocol::wire::OWN_SPACE;

/// The engine's configuration. In JSON with names in camelCase; what is left out has its default.
///
/// All times are in milliseconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct Config {
    /// From the first change to the sync that it starts; later changes do not restart it (R062).
    pub buffer_ms: u64,
    /// From the end of one sync to the start of the next (R063).
    pub throttle_ms: u64,
    /// The fallback: a sync at least this often while visible and enabled (R078).
    pub periodic_ms: u64,
    /// The wait after the first failure (Z04).
    pub backoff_base_ms: u64,
    /// What each further failure multiplies the wait by (R064).
    pub backoff_multiplier: u32,
    /// The longest wait after a failure (R065).
    pub backoff_max_ms: u64,
    /// The longest `Retry-After` that is obeyed.
    pub retry_after_max_ms: u64,
    /// How many failures in a row disable auto-sync (R066).
    pub failures_max: u32,
    /// From there to the next probe (R067).
    pub recovery_ms: u64,
    /// How long a request may take.
    pub request_timeout_ms: u32,
    /// Most operations of one batch.
    pub batch_ops_max: u32,
    /// Most bytes of one batch, unless a single operation is larger.
    pub batch_bytes_max: u32,
    /// Most bytes of one operation; a larger one is held.
    pub op_bytes_max: u32,
    /// About how many bytes one read of the log or of a table takes from the database.
    pub chunk_bytes_max: u32,
    /// Tables whose changes are no reason to sync; they travel with the next one (R069, R070).
    pub skip_tables: Vec<String>,
    /// What becomes of records that were there before the database was attached.
    pub initial: Initial,
    /// Whether the first user to sign in gets what was written before anyone did.
    pub adopt_anonymous: bool,
    /// What is configured of single tables, by name.
    #[serde(with = "pairs")]
    pub tables: Vec<(String, TableConfig)>,
    /// Whether a stream is kept open that tells of other devices' changes at once.
    pub live: bool,
    /// Most changes of one pull, once the first download is done.
    pub pull_limit: u32,
    /// 32 random bytes, fresh for every start of the engine: ids are made of them.
    pub seed: [u8; 32],
}

/// What is configured of one table.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct TableConfig {
    /// What becomes of two changes of one field.
    pub conflict: Strategy,
    /// The fields that hold a key of a record of another table: field and table.
    #[serde(with = "pairs")]
    pub references: Vec<(String, String)>,
    /// What becomes of fields that the app saves as they were before another client changed them.
    pub stale_fields: StaleFields,
    /// The space that its records belong to; none for the user's own.
    pub space: Option<String>,
}

/// How a conflict is resolved (Z05).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Strategy {
    /// The later write wins, field by field; a later delete wins against an update.
    #[default]
    LastWriteWins,
    /// The later write wins, field by field; an update wins against a delete.
    Merge,
    /// This client's change wins.
    ClientPriority,
    /// The server's record wins.
    ServerPriority,
    /// A function of the app decides.
    Custom,
    /// A person decides.
    Manual,
}

/// What becomes of a field that the app saves as it was before another client changed it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StaleFields {
    /// It is an echo: the other client's value stays.
    #[default]
    KeepRemote,
    /// It is a change like any other.
    AsWritten,
}

impl Strategy {
    /// How it is called in the configuration.
    #[must_use]
    pub fn name(self) -> &'static str {
        let known = STRATEGIES.iter().find(|(_, strategy)| *strategy == self);
        known.map_or("", |(name, _)| name)
    }
}

/// The strategies, and how they are called.
const STRATEGIES: [(&str, Strategy); 6] = [
    ("last-write-wins", Strategy::LastWriteWins),
    ("merge", Strategy::Merge),
    ("client-priority", Strategy::ClientPriority),
    ("server-priority", Strategy::ServerPriority),
    ("custom", Strategy::Custom),
    ("manual", Strategy::Manual),
];

/// What becomes of records that were there before the database was attached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Initial {
    /// The first scan uploads them as the first owner's.
    Upload,
    /// They stay here until they change.
    Ignore,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            buffer_ms: 2_000,
            throttle_ms: 5_000,
            periodic_ms: 60_000,
            backoff_base_ms: 5_000,
            backoff_multiplier: 2,
            backoff_max_ms: 300_000,
            retry_after_max_ms: 3_600_000,
            failures_max: 5,
            recovery_ms: 300_000,
            request_timeout_ms: 30_000,
            batch_ops_max: 1_000,
            batch_bytes_max: 1024 * 1024,
            op_bytes_max: 8 * 1024 * 1024,
            chunk_bytes_max: 256 * 1024,
            skip_tables: vec!["checkpoints".to_owned(), "conversationMemories".to_owned()],
            initial: Initial::Upload,
            adopt_anonymous: false,
            tables: Vec::new(),
            live: true,
            pull_limit: 200,
            seed: [0; 32],
        }
    }
}

/// The configuration is not of its form.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("configuration: {member}")]
pub struct ConfigError {
    /// The member that is unknown or wrong, or the last one before what is wrong.
    pub member: String,
}

impl Config {
    /// What is configured of a table.
    pub(crate) fn table(&self, name: &str) -> Option<&TableConfig> {
        let found = self.tables.iter().find(|(table, _)| table == name);
        found.map(|(_, config)| config)
    }

    /// How conflicts of a table are resolved.
    pub(crate) fn strategy(&self, table: &str) -> Strategy {
        self.table(table)
            .map(|table| table.conflict)
            .unwrap_or_default()
    }

    /// The space that a table's records belong to.
    pub(crate) fn space(&self, table: &str) -> &str {
        self.shared_space(table).unwrap_or(OWN_SPACE)
    }

    /// The same; none for the user's own.
    pub(crate) fn shared_space(&self, table: &str) -> Option<&str> {
        self.table(table)?.space.as_deref()
    }

    /// Reads the configuration from JSON; what is left out or null has its default.
    ///
    /// # Errors
    /// [`ConfigError`] where a member is unknown or of another type.
    pub fn from_json(text: &str) -> Result<Self, ConfigError> {
        let mut config = Self::default();
        let mut wrong = String::new();
        let done = read(text, usize::MAX, |json| {
            for (name, value) in json.members() {
                config.read_member(name, value);
                if value.is_refused() {
                    return name.clone_into(&mut wrong);
                }
            }
        });
        done.map(|()| config).ok_or(ConfigError { member: wrong })
    }

    fn read_member(&mut self, name: &str, json: Json<'_>) {
        match name {
            "bufferMs" => wide(json, &mut self.buffer_ms),
            "throttleMs" => wide(json, &mut self.throttle_ms),
            "periodicMs" => wide(json, &mut self.periodic_ms),
            "backoffBaseMs" => wide(json, &mut self.backoff_base_ms),
            "backoffMultiplier" => narrow(json, &mut self.backoff_multiplier),
            "backoffMaxMs" => wide(json, &mut self.backoff_max_ms),
            "retryAfterMaxMs" => wide(json, &mut self.retry_after_max_ms),
            "failuresMax" => narrow(json, &mut self.failures_max),
            "recoveryMs" => wide(json, &mut self.recovery_ms),
            "requestTimeoutMs" => narrow(json, &mut self.request_timeout_ms),
            "batchOpsMax" => narrow(json, &mut self.batch_ops_max),
            "batchBytesMax" => narrow(json, &mut self.batch_bytes_max),
            "opBytesMax" => narrow(json, &mut self.op_bytes_max),
            "chunkBytesMax" => narrow(json, &mut self.chunk_bytes_max),
            "skipTables" => self.skip_tables = json.elements().map(Json::text).collect(),
            "initial" => {
                let known = [("upload", Initial::Upload), ("ignore", Initial::Ignore)];
                self.initial = json.one_of(&known);
            }
            "adoptAnonymous" => self.adopt_anonymous = json.flag(),
            "tables" => {
                let tables = json.members();
                let table = |(name, json): (&str, _)| (name.to_owned(), TableConfig::of(json));
                self.tables = tables.map(table).collect();
            }
            "live" => self.live = json.flag(),
            "pullLimit" => narrow(json, &mut self.pull_limit),
            "seed" => {
                let bytes: Vec<u8> = json.elements().map(byte).collect();
                self.seed = bytes.try_into().unwrap_or_else(|_| json.refuse([0; 32]));
            }
            _ => json.refuse(()),
        }
    }
}

impl TableConfig {
    fn of(json: Json<'_>) -> Self {
        let mut table = Self::default();
        for (name, json) in json.members() {
            match name {
                "conflict" => table.conflict = json.one_of(&STRATEGIES),
                "references" => {
                    let to = |(field, to): (&str, Json<'_>)| (field.to_owned(), to.text());
                    table.references = json.members().map(to).collect();
                }
                "staleFields" => {
                    table.stale_fields = json.one_of(&[
                        ("keep-remote", StaleFields::KeepRemote),
                        ("as-written", StaleFields::AsWritten),
                    ]);
                }
                "space" => table.space = json.optional(Json::text),
                _ => json.refuse(()),
            }
        }
        table
    }
}

fn wide(json: Json<'_>, to: &mut u64) {
    *to = json.optional(Json::whole).unwrap_or(*to);
}

fn narrow(json: Json<'_>, to: &mut u32) {
    *to = json.optional(Json::small).unwrap_or(*to);
}

fn byte(json: Json<'_>) -> u8 {
    u8::try_from(json.small()).unwrap_or_else(|_| json.refuse(0))
}

/// Names and what is said of them, as an object of JSON.
mod pairs {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<T: Serialize, S: Serializer>(
        pairs: &[(String, T)],
        to: S,
    ) -> Result<S::Ok, S::Error> {
        to.collect_map(pairs.iter().map(|(name, said)| (name, said)))
    }

    pub(super) fn deserialize<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Vec<(String, T)>, D::Error> {
        Ok(BTreeMap::deserialize(from)?.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_says_of_itself() {
        let config = Config {
            seed: std::array::from_fn(|place| place as u8),
            initial: Initial::Ignore,
            tables: vec![(
                "files".to_owned(),
                TableConfig {
                    conflict: Strategy::ClientPriority,
                    references: vec![("workspace".to_owned(), "workspaces".to_owned())],
                    stale_fields: StaleFields::AsWritten,
                    space: Some("team-1".to_owned()),
                },
            )],
            live: false,
            ..Config::default()
        };
        let text = serde_json::to_string(&config).unwrap();
        assert_eq!(Config::from_json(&text), Ok(config));
        assert_eq!(Config::from_json("{}"), Ok(Config::default()));
    }

    #[test]
    fn names_the_member_that_is_wrong() {
        for (text, member) in [
            (r#"{"bufferMs":"1"}"#, "bufferMs"),
            (r#"{"bufferMs":1,"batchOpsMax":4294967296}"#, "batchOpsMax"),
            (r#"{"seed":[256]}"#, "seed"),
            (r#"{"initial":"other"}"#, "initial"),
            (r#"{"buffer":1}"#, "buffer"),
            (r#"{"tables":{"a":{"conflict":"none"}}}"#, "tables"),
            (r#"{"tables":{"a":{"space":1}}}"#, "tables"),
        ] {
            let error = Config::from_json(text).unwrap_err();
            assert_eq!(error.member, member, "{text}");
        }
    }
}
