//! Spells: something begins to go wrong, and ends. Each kind comes again and again while faults
//! happen, at random times.

use tidesync_engine::interface::Input;

use super::{Event, World};
use crate::clock::{DAY, HOUR, SECOND};
use crate::fact::{DeviceId, Fact, Request};
use crate::faults::Fault;
use crate::rng::Rng;

/// What can happen to a device for a while, or at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Spell {
    Offline,
    Partition,
    Portal,
    Closed,
    Hidden,
    SignedOut,
    SwitchedOff,
    Asleep,
    Reload,
    Freeze,
    Replace,
    ClockStep,
}

const SPELLS: [Spell; 12] = [
    Spell::Offline,
    Spell::Partition,
    Spell::Portal,
    Spell::Closed,
    Spell::Hidden,
    Spell::SignedOut,
    Spell::SwitchedOff,
    Spell::Asleep,
    Spell::Reload,
    Spell::Freeze,
    Spell::Replace,
    Spell::ClockStep,
];

/// What answers in the server's place for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    BadGateway,
    TooManyRequests,
    ServerError,
    Unavailable,
    /// For requests of more than so many bytes.
    TooLarge(usize),
    UpgradeRequired,
}

/// An answer: the status, `Retry-After` and the body.
type Said = (u16, Option<String>, String);

impl Refusal {
    pub(super) fn draw(rng: &mut Rng) -> Self {
        match rng.below(8) {
            0 => Self::BadGateway,
            1 | 2 => Self::TooManyRequests,
            3 => Self::ServerError,
            4 | 5 => Self::Unavailable,
            6 => Self::TooLarge(rng.between(300, 2_000) as usize),
            _ => Self::UpgradeRequired,
        }
    }

    pub(super) fn fault(self) -> Fault {
        match self {
            Self::BadGateway => Fault::BadGateway,
            Self::TooManyRequests => Fault::TooManyRequests,
            Self::ServerError => Fault::ServerError,
            Self::Unavailable => Fault::Unavailable,
            Self::TooLarge(_) => Fault::RefusedTooLarge,
            Self::UpgradeRequired => Fault::UpgradeRequired,
        }
    }

    /// None where the request may pass.
    pub(super) fn reply(self, request: &Request, rng: &mut Rng) -> Option<Said> {
        let said = |status, code: &str, retry_after| {
            let body = format!("{{\"code\":\"{code}\",\"message\":\"refused\"}}");
            Some((status, retry_after, body))
        };
        match self {
            Self::BadGateway => Some((502, None, "<html>Bad Gateway</html>".to_owned())),
            Self::TooManyRequests => said(429, "rate-limited", retry_after(rng)),
            Self::ServerError => said(500, "internal", None),
            Self::Unavailable => said(503, "unavailable", retry_after(rng)),
            Self::TooLarge(most) if request.text.len() <= most => None,
            Self::TooLarge(_) => said(413, "too-large", None),
            Self::UpgradeRequired => said(426, "protocol-too-old", None),
        }
    }
}

/// A wish when to come again: none, seconds, ten years, or nonsense.
fn retry_after(rng: &mut Rng) -> Option<String> {
    match rng.below(6) {
        0 | 1 => None,
        2 | 3 => Some(rng.skewed(1, 900).to_string()),
        4 => Some("315360000".to_owned()),
        _ => Some("soon".to_owned()),
    }
}

impl World {
    /// The mean time from one spell of this kind to the next; 0 for never.
    fn every(&self, spell: Spell) -> u64 {
        let (net, life) = (&self.plan.net, &self.plan.life);
        match spell {
            Spell::Offline => net.offline_every_ms,
            Spell::Partition => net.partition_every_ms,
            Spell::Portal => net.portal_every_ms,
            Spell::Closed => life.close_every_ms,
            Spell::Hidden => life.hide_every_ms,
            Spell::SignedOut => self.plan.auth.sign_out_every_ms,
            Spell::SwitchedOff => life.switch_every_ms,
            Spell::Asleep => life.sleep_every_ms,
            Spell::Reload => life.reload_every_ms,
            Spell::Freeze => life.freeze_every_ms,
            Spell::Replace => life.replace_every_ms,
            Spell::ClockStep => life.step_every_ms,
        }
    }

    /// The longest that a spell lasts.
    fn longest(&self, spell: Spell) -> u64 {
        let (net, life) = (&self.plan.net, &self.plan.life);
        match spell {
            Spell::Offline | Spell::Partition | Spell::Portal => net.spell_max_ms,
            Spell::Closed => life.closed_max_ms,
            Spell::Hidden => life.hidden_max_ms,
            Spell::SignedOut => self.plan.auth.spell_max_ms,
            Spell::SwitchedOff => HOUR,
            Spell::Asleep => 10 * HOUR,
            Spell::Freeze => 2 * HOUR,
            Spell::Reload | Spell::Replace | Spell::ClockStep => 0,
        }
    }

    pub(super) fn arrange_spells(&mut self, device: DeviceId) {
        for spell in SPELLS {
            self.arrange_spell(device, spell);
        }
    }

    fn arrange_spell(&mut self, device: DeviceId, spell: Spell) {
        let mean = self.every(spell);
        if mean > 0 {
            let at = self.now + 1 + self.life.below(2 * mean);
            self.queue.push(at, Event::Begin(device, spell));
        }
    }

    /// When a spell ends that begins now: before everything heals.
    pub(super) fn end_of(&mut self, longest: u64) -> u64 {
        let left = self.plan.span_ms.saturating_sub(self.now).max(2) - 1;
        let longest = longest.min(left).max(1);
        if self.life.once_in(2) {
            self.now + self.life.skewed(1, longest)
        } else {
            self.now + self.life.between(1, longest)
        }
    }

    pub(super) fn begin_spell(&mut self, device: DeviceId, spell: Spell) {
        if self.healed_at.is_some() {
            return;
        }
        self.arrange_spell(device, spell);
        if !self.take_effect(device, spell) {
            return;
        }
        let longest = self.longest(spell);
        if longest > 0 {
            let at = self.end_of(longest);
            self.queue.push(at, Event::End(device, spell));
        }
    }

    /// False where it makes no difference now.
    fn take_effect(&mut self, device: DeviceId, spell: Spell) -> bool {
        let it = &mut self.devices[device];
        if it.asleep_until > self.now {
            return false;
        }
        let fault = match spell {
            Spell::Offline if it.online => {
                it.online = false;
                self.tell(device, Input::Online { online: false });
                Fault::Offline
            }
            Spell::Partition if !it.partitioned => {
                it.partitioned = true;
                Fault::Partition
            }
            Spell::Portal if !it.behind_portal => {
                it.behind_portal = true;
                Fault::CaptivePortal
            }
            Spell::Closed if it.open => {
                self.close(device);
                Fault::BrowserClosed
            }
            Spell::Hidden if it.visible => {
                it.visible = false;
                self.tell(device, Input::Visible { visible: false });
                Fault::Hidden
            }
            Spell::SignedOut if it.signed_in => {
                it.signed_in = false;
                it.token = None;
                self.tell(device, Input::UserChanged { user: None });
                Fault::SignedOut
            }
            Spell::SwitchedOff if it.enabled != Some(false) => {
                it.enabled = Some(false);
                self.tell(device, Input::SetEnabled { enabled: false });
                Fault::SettingChanged
            }
            Spell::Asleep => {
                let end = self.end_of(10 * HOUR);
                let it = &mut self.devices[device];
                it.clock.sleep(self.now, end);
                it.asleep_until = end;
                Fault::Asleep
            }
            Spell::Reload => {
                self.reload(device);
                Fault::TabReloaded
            }
            Spell::Freeze => {
                self.freeze(device);
                Fault::TabFrozen
            }
            Spell::Replace => {
                self.replace(device);
                Fault::LeaderReplaced
            }
            Spell::ClockStep => {
                self.step_clock(device);
                Fault::ClockStepped
            }
            Spell::Offline
            | Spell::Partition
            | Spell::Portal
            | Spell::Closed
            | Spell::Hidden
            | Spell::SignedOut
            | Spell::SwitchedOff => return false,
        };
        self.counts.add(fault);
        self.disturb_streams(device, spell);
        self.facts.push(Fact::Disturbed { device });
        true
    }

    pub(super) fn end_spell(&mut self, device: DeviceId, spell: Spell) {
        let it = &mut self.devices[device];
        match spell {
            Spell::Offline if !it.online => {
                it.online = true;
                self.tell(device, Input::Online { online: true });
            }
            Spell::Partition => it.partitioned = false,
            Spell::Portal => it.behind_portal = false,
            Spell::Closed => {
                it.open = true;
                self.lead(device);
            }
            Spell::Hidden if !it.visible => {
                it.visible = true;
                self.tell(device, Input::Visible { visible: true });
            }
            Spell::SignedOut if !it.signed_in => {
                it.signed_in = true;
                let user = it.session();
                self.tell(device, Input::UserChanged { user });
            }
            Spell::SwitchedOff if it.enabled == Some(false) => {
                it.enabled = Some(true);
                self.tell(device, Input::SetEnabled { enabled: true });
            }
            Spell::Offline
            | Spell::Hidden
            | Spell::SignedOut
            | Spell::SwitchedOff
            | Spell::Asleep
            | Spell::Reload
            | Spell::Freeze
            | Spell::Replace
            | Spell::ClockStep => {}
        }
    }

    fn step_clock(&mut self, device: DeviceId) {
        let far = self.life.skewed(SECOND, 400 * DAY) as i64;
        let by = if self.life.once_in(2) { far } else { -far };
        self.devices[device].clock.step(by);
        self.facts.push(Fact::ClockStepped { device });
    }
}
