//! I22, what of it a run can show: the outcome does not depend on how operations were batched, nor
//! on copies of them. All that was committed is done again on a fresh server, one operation at a
//! time and each of them twice, and gives the same records; a server that forgot something meanwhile
//! has judged what came later without it, and is left out. (That it does not depend on the order of
//! arrival either is shown by the property tests of the protocol and the server.)

use tidesync_protocol::wire::Op;

use super::{Check, Scene, ensure};
use crate::fact::Fact;
use crate::replay::replay;
use crate::value::canonical;

/// An operation that was committed.
pub(crate) struct Committed {
    pub(crate) user: String,
    pub(crate) client: String,
    pub(crate) wall_ms: u64,
    pub(crate) op: Op,
}

#[derive(Default)]
pub(super) struct Merge {
    committed: Vec<Committed>,
    forgot: bool,
}

impl Check for Merge {
    fn name(&self) -> &'static str {
        "I22 merge algebra"
    }

    fn see(&mut self, fact: &Fact, scene: Scene<'_>) -> Result<(), String> {
        match fact {
            Fact::Handled { handled, .. } if handled.committed => {
                let ops = handled.ops.iter().map(|(op, ..)| Committed {
                    user: handled.user.clone(),
                    client: handled.client.clone(),
                    wall_ms: handled.wall_ms,
                    op: op.clone(),
                });
                self.committed.extend(ops);
                Ok(())
            }
            Fact::Forgot(_) => {
                self.forgot = true;
                Ok(())
            }
            Fact::Ended if !self.forgot => {
                let users = (0..scene.world.plan.users).map(|user| format!("user-{user}"));
                let users: Vec<String> = users.collect();
                let again = replay(
                    &self.committed,
                    &users,
                    scene.world.plan.server.knows_tables,
                );
                for (user, again) in users.iter().zip(again) {
                    let mut first = scene.world.cloud.records(user);
                    let mut again = again;
                    for (.., value) in first.iter_mut().chain(&mut again) {
                        *value = canonical(value);
                    }
                    first.sort();
                    again.sort();
                    let differs = first.iter().zip(&again).find(|(one, other)| one != other);
                    ensure(first == again, || {
                        format!("the same operations one by one give another outcome: {differs:?}")
                    })?;
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }
}
