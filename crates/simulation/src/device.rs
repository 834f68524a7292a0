//! A device: its database, its clocks, what its user does, and the tabs that run an engine. One of
//! them leads; the others led before, and do not know yet that they do no more.

use std::collections::BTreeMap;

use tidesync_engine::Engine;
use tidesync_engine::interface::Now;

use crate::app::App;
use crate::clock::Clock;
use crate::disk::{Disk, Memory};
use crate::fact::{TabId, Token};

/// A tab that runs an engine.
#[derive(Debug)]
pub(crate) struct Tab {
    pub(crate) id: TabId,
    pub(crate) engine: Engine,
    pub(crate) memory: Memory,
    /// The device's monotonic clock when the tab was opened: the tab counts from there.
    pub(crate) origin_ms: u64,
    /// True time of the one timer that is set.
    pub(crate) timer: Option<u64>,
    /// The request under way.
    pub(crate) flight: Option<u64>,
    /// The fence that it was given: it may write for as long as no other was.
    pub(crate) fence: u64,
    /// It stands still until then.
    pub(crate) frozen_until: u64,
}

/// A device.
#[derive(Debug)]
pub(crate) struct Device {
    pub(crate) user: String,
    pub(crate) disk: Disk,
    pub(crate) clock: Clock,
    pub(crate) app: App,
    pub(crate) tabs: Vec<Tab>,
    /// The tab that leads.
    pub(crate) leading: Option<TabId>,
    pub(crate) token: Option<Token>,
    /// What the app was told to do with auto-sync, if anything.
    pub(crate) enabled: Option<bool>,
    pub(crate) signed_in: bool,
    /// What the browser says of the network.
    pub(crate) online: bool,
    pub(crate) partitioned: bool,
    pub(crate) behind_portal: bool,
    pub(crate) visible: bool,
    /// Whether any page of the app is open.
    pub(crate) open: bool,
    pub(crate) asleep_until: u64,
    /// When the leading tab hears the last thing that it is told.
    pub(crate) told_at: u64,
    /// Until when the server has asked it to wait, on its monotonic clock.
    pub(crate) asked_until: u64,
    /// How often it sent each batch, for a planted bug.
    pub(crate) attempts: BTreeMap<String, u32>,
}

impl Tab {
    /// Its clocks.
    pub(crate) fn now(&self, clock: &Clock, true_ms: u64) -> Now {
        Now {
            monotonic_ms: clock.monotonic(true_ms) - self.origin_ms,
            wall_ms: clock.wall(true_ms),
        }
    }
}

impl Device {
    pub(crate) fn tab(&mut self, id: TabId) -> Option<&mut Tab> {
        self.tabs.iter_mut().find(|tab| tab.id == id)
    }

    /// Whether a tab is the one that may write.
    pub(crate) fn is_current(&self, id: TabId) -> bool {
        let mut tabs = self.tabs.iter();
        tabs.any(|tab| tab.id == id && tab.fence == self.disk.fence)
    }

    /// The tab that leads.
    pub(crate) fn leader(&self) -> Option<&Tab> {
        let leading = self.leading?;
        self.tabs.iter().find(|tab| tab.id == leading)
    }

    /// Under whom the app is used.
    pub(crate) fn session(&self) -> Option<String> {
        self.signed_in.then(|| self.user.clone())
    }

    /// Whether messages pass at all.
    pub(crate) fn is_connected(&self) -> bool {
        self.online && !self.partitioned
    }
}
