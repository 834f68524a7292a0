//! I29: no request carries one user's operations under another's token.

use super::{Check, Scene, ensure};
use crate::fact::Fact;

pub(super) struct OneUser;

impl Check for OneUser {
    fn name(&self) -> &'static str {
        "I29 one user"
    }

    fn see(&mut self, fact: &Fact, _: Scene<'_>) -> Result<(), String> {
        let Fact::Sent(request) = fact else {
            return Ok(());
        };
        ensure(request.token.user == request.subject, || {
            format!(
                "device {}: a request of {} left with the token of {}",
                request.device, request.subject, request.token.user
            )
        })
    }
}
