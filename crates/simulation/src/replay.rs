//! What was committed, done again on a server of its own.

use std::collections::BTreeMap;

use tidesync_server::access::Grant;
use tidesync_server::push::{CheckedOp, Push};
use tidesync_server::store::{self, apply_push};

use crate::check::Committed;
use crate::cloud::{records, start};
use crate::schema;

/// Does operations one by one, each of them twice, on a server of its own, and gives the records of
/// these users.
pub(crate) fn replay(
    committed: &[Committed],
    users: &[String],
    knows_tables: bool,
) -> Vec<Vec<(String, String, String)>> {
    let opened = store::open_in_memory(&start(0, 0));
    let (connection, identity) = opened.expect("a database in memory");
    for it in committed {
        for _ in 0..2 {
            let unknown = knows_tables && it.op.table == schema::SECRETS;
            let op = it.op.clone();
            let push = Push {
                grant: Grant::new(&it.user, BTreeMap::new()).expect("a user's name"),
                client: it.client.clone(),
                batch: "again".to_owned(),
                place: None,
                ops: vec![if unknown {
                    CheckedOp::UnknownTable(op)
                } else {
                    CheckedOp::Good(op, Vec::new())
                }],
            };
            let pushed = apply_push(&connection, &identity, push, it.wall_ms as i64);
            pushed.expect("what was done before can be done again");
        }
    }
    users
        .iter()
        .map(|user| records(&connection, user))
        .collect()
}
