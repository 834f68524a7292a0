//! Everything that can be made to go wrong, by name, and how often it did.

macro_rules! faults {
    ($($fault:ident: $what:literal,)*) => {
        /// One kind of fault, or of hard work for the engine.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Fault {
            $(#[doc = $what] $fault,)*
        }

        impl Fault {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$fault,)*];
        }
    };
}

faults! {
    RequestDropped: "A request is lost on its way.",
    AnswerDropped: "The server did it, and its answer is lost.",
    RequestHangs: "Nobody answers, and nothing says so.",
    Delayed: "A request or an answer takes up to two minutes.",
    Duplicated: "A request arrives twice.",
    ReplayedLater: "A request arrives again after hours.",
    AnswerTruncated: "An answer ends early.",
    RequestDamaged: "A value is damaged on its way.",
    Offline: "The device is offline, and its browser says so.",
    Partition: "The device is cut off, and nothing says so.",
    CaptivePortal: "Something else answers 200.",
    BadGateway: "Something in between answers 502 with a page.",
    TooManyRequests: "429.",
    ServerError: "500.",
    Unavailable: "503, with or without a wish when to come again.",
    RefusedTooLarge: "413 for more than a few operations.",
    UpgradeRequired: "426.",
    RequestPoisoned: "A record makes the whole request refused.",
    ServerRestart: "The server ends and starts again.",
    CrashBeforeCommit: "The server dies before it commits.",
    CrashAfterCommit: "The server dies after it committed, before it answers.",
    ServerBusy: "The database takes no write for now.",
    ServerClockOff: "The server's clock is wrong.",
    TokenExpired: "The token at hand has expired.",
    TokenFailed: "The app's getToken fails.",
    TokensRevoked: "Every token given so far is refused.",
    LockedOut: "No token is taken.",
    SignedOut: "The user signs out, and in again.",
    CrashBeforeEffect: "A tab dies before it does what the engine asked for.",
    CrashAfterEffect: "A tab dies when it has done it, before the engine hears.",
    TabReloaded: "The page is loaded anew.",
    BrowserClosed: "No page of the app is open.",
    TabFrozen: "A tab stands still and goes on later.",
    LeaderReplaced: "Another tab leads while the first still does.",
    Hidden: "The last visible page is hidden.",
    TimerLate: "A hidden tab's timer comes up to a minute late.",
    Asleep: "The device sleeps; its monotonic clock stands still.",
    ClockOff: "The device's clock is wrong, by up to ten years.",
    ClockStepped: "The device's clock jumps.",
    DiskFull: "A transaction aborts for want of space.",
    DiskFailed: "A transaction fails, or the connection is lost.",
    SlowDisk: "A transaction takes up to five seconds.",
    AppWriteAborted: "A transaction of the app aborts.",
    HintLost: "The leading tab is not told of a write.",
    RecordRejected: "The server refuses a record.",
    ValueUnsendable: "A value has no wire form.",
    ValueTooLarge: "A value is larger than an operation may be.",
    LargeValue: "A value is logged by key.",
    StaleSave: "The app saves an object that it read a while ago.",
    DeleteRange: "A range of records is removed.",
    Clear: "All records of a table are removed.",
    Burst: "Many writes within seconds.",
    ConflictAsked: "The app's function is asked about a conflict.",
    ResolverFailed: "The app's function fails.",
    HeldSettled: "The user decides about what is held.",
    Forgotten: "The server forgets what is older than it keeps.",
    StreamLost: "The stream of pokes breaks, or goes silent.",
    SettingChanged: "Auto-sync is switched off, and on again.",
}

impl Fault {
    /// What it is called in reports.
    #[must_use]
    pub fn name(self) -> String {
        // `RequestDropped` is `request-dropped`.
        let mut name = String::new();
        for letter in format!("{self:?}").chars() {
            if letter.is_ascii_uppercase() && !name.is_empty() {
                name.push('-');
            }
            name.push(letter.to_ascii_lowercase());
        }
        name
    }
}

/// How often each fault was injected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counts([u64; Fault::ALL.len()]);

impl Default for Counts {
    fn default() -> Self {
        Self([0; Fault::ALL.len()])
    }
}

impl Counts {
    pub(crate) fn add(&mut self, fault: Fault) {
        self.0[fault as usize] += 1;
    }

    /// How often this fault was injected.
    #[must_use]
    pub fn of(&self, fault: Fault) -> u64 {
        self.0[fault as usize]
    }

    /// Adds those of another run.
    pub fn merge(&mut self, other: &Self) {
        for (sum, count) in self.0.iter_mut().zip(other.0) {
            *sum += count;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_has_its_place_and_name() {
        for (place, fault) in Fault::ALL.iter().enumerate() {
            assert_eq!(*fault as usize, place);
        }
        assert_eq!(Fault::RequestDropped.name(), "request-dropped");
    }
}
