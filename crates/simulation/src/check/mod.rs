//! The checks: one file for each invariant (RELIABILITY, section 5a). Each sees every fact, and
//! says what is wrong.

mod i01_capture;
mod i06_ack;
mod i07_conservation;
mod i09_buffer;
mod i10_throttle;
mod i11_backoff;
mod i12_breaker;
mod i14_once;
mod i15_order;
mod i18_gapless;
mod i21_convergence;
mod i22_merge;
mod i23_own_writes;
mod i24_monotonic;
mod i25_clocks;
mod i26_wedge;
mod i27_poison;
mod i28_status;
mod i29_user;

pub(crate) use i22_merge::Committed;

use crate::fact::Fact;
use crate::truth::Truth;
use crate::world::World;

/// What a check may look at besides the fact.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scene<'a> {
    pub(crate) world: &'a World,
    pub(crate) truth: &'a Truth,
}

/// An invariant.
pub(crate) trait Check {
    /// Its number and name.
    fn name(&self) -> &'static str;

    /// Looks at a fact. The truth has noted it already.
    ///
    /// # Errors
    /// What is wrong, in a sentence.
    fn see(&mut self, fact: &Fact, scene: Scene<'_>) -> Result<(), String>;
}

/// All checks.
pub(crate) fn all() -> Vec<Box<dyn Check>> {
    vec![
        Box::new(i01_capture::AtomicCapture),
        Box::new(i06_ack::AckGatedDelete),
        Box::new(i07_conservation::Conservation),
        Box::new(i09_buffer::Buffer),
        Box::new(i10_throttle::Throttle),
        Box::new(i11_backoff::Backoff),
        Box::new(i12_breaker::Breaker::default()),
        Box::new(i14_once::Once::default()),
        Box::new(i15_order::Order::default()),
        Box::new(i18_gapless::Gapless::default()),
        Box::new(i21_convergence::Convergence),
        Box::new(i22_merge::Merge::default()),
        Box::new(i23_own_writes::OwnWrites),
        Box::new(i24_monotonic::Monotonic::default()),
        Box::new(i25_clocks::Clocks),
        Box::new(i26_wedge::NoWedge::default()),
        Box::new(i27_poison::Poison::default()),
        Box::new(i28_status::HonestStatus::default()),
        Box::new(i29_user::OneUser),
    ]
}

/// An error unless it holds.
fn ensure(holds: bool, wrong: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(wrong()) }
}
