//! What one seed's world is like: each seed enables a random part of the faults, with random
//! rates, so that rare combinations come up too (swarm testing).

use tidesync_engine::{Config, StaleFields, Strategy, TableConfig};

use crate::clock::{DAY, HOUR, MINUTE, SECOND};
use crate::planted::Planted;
use crate::rng::Rng;
use crate::schema;
use crate::sim::Case;
use crate::value::VALUE_BYTES_MAX;

/// Times in a million.
pub(crate) type Rate = u32;

/// The world of one seed.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) planted: Option<Planted>,
    /// How long faults happen, in milliseconds; then everything heals.
    pub(crate) span_ms: u64,
    pub(crate) devices: usize,
    /// Devices take turns among so many users.
    pub(crate) users: usize,
    /// The engine's configuration; the seed of each engine is drawn when it starts.
    pub(crate) config: Config,
    pub(crate) app: AppPlan,
    pub(crate) net: NetPlan,
    pub(crate) server: ServerPlan,
    pub(crate) auth: AuthPlan,
    pub(crate) life: LifePlan,
    pub(crate) storage: StoragePlan,
}

/// What the users do. Weights are relative; 0 is never.
#[derive(Debug, Clone)]
pub(crate) struct AppPlan {
    /// Mean time from one act to the next.
    pub(crate) pause_ms: u64,
    /// Different keys of a table.
    pub(crate) keys: u64,
    /// Records that were there before anything was captured.
    pub(crate) before: u64,
    pub(crate) burst: Rate,
    pub(crate) burst_max: u64,
    pub(crate) delete: Rate,
    pub(crate) delete_range: Rate,
    pub(crate) clear: Rate,
    pub(crate) stale: Rate,
    pub(crate) large: Rate,
    pub(crate) too_large: Rate,
    pub(crate) unsendable: Rate,
    pub(crate) rejected: Rate,
    pub(crate) poisoned: Rate,
    pub(crate) aborted: Rate,
    pub(crate) hint_lost: Rate,
    /// Calls of `forceSync` and `triggerBackup`, by act.
    pub(crate) call: Rate,
    /// Decisions on what is held, by act.
    pub(crate) settle: Rate,
    /// How often the app's function fails to resolve a conflict.
    pub(crate) resolver_fails: Rate,
}

/// What the network does to messages, and how often it is something else altogether.
#[derive(Debug, Clone, Default)]
pub(crate) struct NetPlan {
    pub(crate) latency_ms: u64,
    pub(crate) drop_request: Rate,
    pub(crate) drop_answer: Rate,
    pub(crate) hang: Rate,
    pub(crate) delay: Rate,
    pub(crate) duplicate: Rate,
    pub(crate) replay: Rate,
    pub(crate) truncate: Rate,
    pub(crate) damage: Rate,
    /// Mean time from one of these spells to the next; 0 is never.
    pub(crate) offline_every_ms: u64,
    pub(crate) partition_every_ms: u64,
    pub(crate) portal_every_ms: u64,
    /// The longest of a device's spells.
    pub(crate) spell_max_ms: u64,
    /// Spells in which something in between answers for the server.
    pub(crate) refusal_every_ms: u64,
    pub(crate) refusal_max_ms: u64,
}

/// What happens to the server.
#[derive(Debug, Clone, Default)]
pub(crate) struct ServerPlan {
    pub(crate) restart_every_ms: u64,
    pub(crate) down_max_ms: u64,
    pub(crate) crash_before_commit: Rate,
    pub(crate) crash_after_commit: Rate,
    pub(crate) busy: Rate,
    pub(crate) clock_skew_ms: i64,
    /// Whether it keeps only the tables that it knows.
    pub(crate) knows_tables: bool,
    /// Mean time from one look for what is old to the next; 0 is never.
    pub(crate) forget_every_ms: u64,
    /// How long tombstones and outcomes are kept.
    pub(crate) retention_ms: u64,
}

/// What happens to tokens.
#[derive(Debug, Clone, Default)]
pub(crate) struct AuthPlan {
    pub(crate) life_ms: u64,
    pub(crate) fail: Rate,
    pub(crate) revoke_every_ms: u64,
    pub(crate) lockout_every_ms: u64,
    pub(crate) sign_out_every_ms: u64,
    pub(crate) spell_max_ms: u64,
}

/// What happens to tabs and devices: mean times from one to the next; 0 is never.
#[derive(Debug, Clone, Default)]
pub(crate) struct LifePlan {
    pub(crate) reload_every_ms: u64,
    pub(crate) close_every_ms: u64,
    pub(crate) closed_max_ms: u64,
    pub(crate) freeze_every_ms: u64,
    pub(crate) replace_every_ms: u64,
    pub(crate) hide_every_ms: u64,
    pub(crate) hidden_max_ms: u64,
    pub(crate) sleep_every_ms: u64,
    pub(crate) step_every_ms: u64,
    pub(crate) switch_every_ms: u64,
    /// The largest error of a device's clock.
    pub(crate) skew_max_ms: u64,
    /// Whether a leader hears that another tab took over; else only the fence tells it.
    pub(crate) locks: bool,
    pub(crate) crash_before_effect: Rate,
    pub(crate) crash_after_effect: Rate,
}

/// What happens to transactions.
#[derive(Debug, Clone, Default)]
pub(crate) struct StoragePlan {
    pub(crate) full: Rate,
    pub(crate) fail: Rate,
    pub(crate) slow: Rate,
}

/// Draws rates. Half of the faults stay off in each world.
struct Draw {
    rng: Rng,
    span_ms: u64,
}

impl Plan {
    /// The world of a case.
    pub(crate) fn new(case: Case) -> Self {
        let Case { seed, planted, .. } = case;
        let mut rng = Rng::new(seed).fork("plan");
        let spans = [20 * MINUTE, 2 * HOUR, 8 * HOUR, 2 * DAY, 14 * DAY, 45 * DAY];
        let longest = if case.brief { 3 } else { spans.len() as u64 };
        let most = rng.between(1, longest) as usize;
        let span_ms = *rng.pick(&spans[..most]);
        let devices = rng.between(1, 4) as usize;
        let users = if rng.once_in(3) {
            rng.between(1, 2) as usize
        } else {
            1
        };
        let acts = rng.skewed(8, 400);
        let config = config(&mut rng);
        let mut draw = Draw { rng, span_ms };
        Self {
            seed,
            planted,
            span_ms,
            devices,
            users,
            config,
            app: draw.app(acts),
            net: draw.net(),
            server: draw.server(),
            auth: draw.auth(),
            life: draw.life(),
            storage: draw.storage(),
        }
    }

    /// The same world with nothing that goes wrong any more. Clocks stay as wrong as they are.
    pub(crate) fn heal(&mut self) {
        self.net = NetPlan {
            latency_ms: self.net.latency_ms,
            ..NetPlan::default()
        };
        self.server = ServerPlan {
            clock_skew_ms: self.server.clock_skew_ms,
            knows_tables: self.server.knows_tables,
            ..ServerPlan::default()
        };
        self.auth = AuthPlan {
            life_ms: HOUR,
            ..AuthPlan::default()
        };
        self.life = LifePlan {
            locks: self.life.locks,
            ..LifePlan::default()
        };
        self.storage = StoragePlan::default();
    }
}

/// Half of the worlds have the defaults, the others small limits, whose edges are met often.
fn config(rng: &mut Rng) -> Config {
    let mut config = Config {
        skip_tables: vec![schema::CHECKPOINTS.to_owned()],
        op_bytes_max: VALUE_BYTES_MAX,
        ..Config::default()
    };
    if rng.once_in(2) {
        config.batch_ops_max = rng.skewed(1, 60) as u32;
        config.batch_bytes_max = rng.skewed(300, 20_000) as u32;
        config.chunk_bytes_max = rng.skewed(100, 20_000) as u32;
    }
    if rng.once_in(4) {
        config.pull_limit = rng.skewed(1, 200) as u32;
    }
    config.live = !rng.once_in(4);
    config.tables = vec![
        (schema::NOTES.to_owned(), table(rng)),
        (schema::DRAFTS.to_owned(), table(rng)),
    ];
    config
}

/// The other tables have the defaults.
fn table(rng: &mut Rng) -> TableConfig {
    let strategies = [
        Strategy::LastWriteWins,
        Strategy::LastWriteWins,
        Strategy::LastWriteWins,
        Strategy::Merge,
        Strategy::ClientPriority,
        Strategy::ServerPriority,
        Strategy::Custom,
        Strategy::Manual,
    ];
    TableConfig {
        conflict: *rng.pick(&strategies),
        stale_fields: *rng.pick(&[
            StaleFields::KeepRemote,
            StaleFields::KeepRemote,
            StaleFields::AsWritten,
        ]),
        ..TableConfig::default()
    }
}

impl Draw {
    fn rate(&mut self, low: Rate, high: Rate) -> Rate {
        if self.rng.once_in(2) {
            return 0;
        }
        self.rng.skewed(u64::from(low), u64::from(high)) as Rate
    }

    /// A mean time between up to `times` spells.
    fn every(&mut self, times: u64) -> u64 {
        if self.rng.once_in(2) {
            return 0;
        }
        (self.span_ms / self.rng.between(1, times)).max(10 * SECOND)
    }

    /// The longest of some spells: a few seconds, or most of the time that there is.
    fn spell(&mut self) -> u64 {
        let most = self.span_ms / 2;
        self.rng.skewed(MINUTE, most)
    }

    fn app(&mut self, acts: u64) -> AppPlan {
        AppPlan {
            pause_ms: self.span_ms / acts,
            keys: self.rng.skewed(1, 40),
            before: if self.rng.once_in(3) {
                self.rng.skewed(1, 40)
            } else {
                0
            },
            burst: self.rate(2_000, 200_000),
            burst_max: self.rng.skewed(2, 60),
            delete: self.rate(20_000, 300_000),
            delete_range: self.rate(2_000, 60_000),
            clear: self.rate(1_000, 40_000),
            stale: self.rate(20_000, 400_000),
            large: self.rate(10_000, 300_000),
            too_large: self.rate(2_000, 60_000),
            unsendable: self.rate(2_000, 60_000),
            rejected: self.rate(2_000, 100_000),
            poisoned: self.rate(2_000, 60_000),
            aborted: self.rate(2_000, 200_000),
            hint_lost: self.rate(2_000, 300_000),
            call: self.rate(2_000, 100_000),
            settle: self.rate(20_000, 400_000),
            resolver_fails: self.rate(20_000, 400_000),
        }
    }

    fn net(&mut self) -> NetPlan {
        NetPlan {
            latency_ms: self.rng.skewed(1, 2_000),
            drop_request: self.rate(1_000, 400_000),
            drop_answer: self.rate(1_000, 400_000),
            hang: self.rate(1_000, 200_000),
            delay: self.rate(1_000, 300_000),
            duplicate: self.rate(1_000, 400_000),
            replay: self.rate(1_000, 200_000),
            truncate: self.rate(1_000, 200_000),
            damage: self.rate(1_000, 200_000),
            offline_every_ms: self.every(20),
            partition_every_ms: self.every(20),
            portal_every_ms: self.every(10),
            spell_max_ms: self.spell(),
            refusal_every_ms: self.every(20),
            refusal_max_ms: self.spell(),
        }
    }

    fn server(&mut self) -> ServerPlan {
        ServerPlan {
            restart_every_ms: self.every(20),
            down_max_ms: self.rng.skewed(100, 30 * MINUTE),
            crash_before_commit: self.rate(1_000, 200_000),
            crash_after_commit: self.rate(1_000, 200_000),
            busy: self.rate(1_000, 300_000),
            clock_skew_ms: self.skew(10 * MINUTE),
            knows_tables: self.rng.once_in(2),
            forget_every_ms: self.every(200),
            retention_ms: self.rng.skewed(SECOND, self.span_ms / 8),
        }
    }

    fn auth(&mut self) -> AuthPlan {
        AuthPlan {
            life_ms: self.rng.skewed(10 * SECOND + self.span_ms / 2_000, 2 * DAY),
            fail: self.rate(1_000, 200_000),
            revoke_every_ms: self.every(10),
            lockout_every_ms: self.every(6),
            sign_out_every_ms: self.every(6),
            spell_max_ms: self.rng.skewed(SECOND, 2 * HOUR),
        }
    }

    fn life(&mut self) -> LifePlan {
        LifePlan {
            reload_every_ms: self.every(30),
            close_every_ms: self.every(20),
            closed_max_ms: self.spell(),
            freeze_every_ms: self.every(10),
            replace_every_ms: self.every(20),
            hide_every_ms: self.every(20),
            hidden_max_ms: self.spell(),
            sleep_every_ms: self.every(6),
            step_every_ms: self.every(6),
            switch_every_ms: self.every(4),
            skew_max_ms: if self.rng.once_in(2) {
                0
            } else {
                self.rng.skewed(SECOND, 3_650 * DAY)
            },
            locks: !self.rng.once_in(8),
            crash_before_effect: self.rate(500, 50_000),
            crash_after_effect: self.rate(500, 50_000),
        }
    }

    fn storage(&mut self) -> StoragePlan {
        StoragePlan {
            full: self.rate(1_000, 100_000),
            fail: self.rate(1_000, 60_000),
            slow: self.rate(1_000, 200_000),
        }
    }

    /// None in half of the worlds; else ahead or behind.
    fn skew(&mut self, most_ms: u64) -> i64 {
        if self.rng.once_in(2) {
            return 0;
        }
        let skew = self.rng.skewed(SECOND, most_ms) as i64;
        if self.rng.once_in(2) { skew } else { -skew }
    }
}
