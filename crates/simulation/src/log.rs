//! A run in words, one line for each fact: for whoever replays a seed.

use tidesync_engine::interface::{RequestOutcome, Write};

use crate::fact::{Fact, Kind, Told};

/// The line of a fact; none for what says nothing.
pub(crate) fn line(fact: &Fact) -> Option<String> {
    Some(match fact {
        Fact::Wrote {
            device,
            changes,
            aborted,
            user,
            ..
        } => {
            let changes = changes.iter().map(|it| {
                let value = it.value.as_ref().map(|value| format!("{value:?}"));
                let value = value.unwrap_or_else(|| "gone".to_owned());
                format!("{} {} (row {}): {value}", it.table, it.lid, it.row)
            });
            let changes: Vec<String> = changes.collect();
            let aborted = if *aborted { ", aborted" } else { "" };
            format!(
                "device {device} writes as {user:?}{aborted}: {}",
                changes.join("; ")
            )
        }
        Fact::Stored {
            device,
            tab,
            writes,
            outcome,
            ..
        } => {
            let writes: Vec<String> = writes.iter().map(write_name).collect();
            format!(
                "device {device} tab {tab} commits {}: {outcome:?}",
                writes.join(", ")
            )
        }
        Fact::Turned {
            device,
            tab,
            now,
            told,
            status,
            timeout,
            requested,
            ..
        } => {
            let told = match told {
                Told::Answered(kind, RequestOutcome::Answer { status, .. }) => {
                    format!("{kind:?} answered {status}")
                }
                told => format!("{told:?}"),
            };
            format!(
                "device {device} tab {tab} at {} is told {told}: {:?}, {} pending, {} buffered, \
                 timer {timeout:?}{}",
                now.monotonic_ms,
                status.phase,
                status.pending,
                status.buffered_events,
                requested.map_or(String::new(), |kind| format!(", asks for {kind:?}"))
            )
        }
        Fact::Sent(request) => format!(
            "device {} tab {} sends request {}: {}",
            request.device, request.tab, request.id, request.text
        ),
        Fact::Handled { request, handled } => {
            let verdicts = handled
                .ops
                .iter()
                .map(|(op, entry, _)| format!("{} {:?} {:?}", op.op, entry.verdict, entry.version));
            let verdicts: Vec<String> = verdicts.collect();
            format!(
                "server takes request {} (committed: {}): {}",
                request.id,
                handled.committed,
                verdicts.join(", ")
            )
        }
        Fact::Answered { request, outcome } => {
            let said = match (&**outcome, request.kind) {
                (RequestOutcome::Answer { status: 200, .. }, Kind::Pull) => "200".to_owned(),
                (outcome, _) => format!("{outcome:?}"),
            };
            format!("request {} is answered: {said}", request.id)
        }
        Fact::Pulled { request, pulled } => {
            let changes = pulled.answer.changes.iter().map(|it| {
                let value = it.value.as_ref().map_or("gone", |value| value.get());
                format!(
                    "{} {} {} by {}: {value}",
                    it.version, it.table, it.rid, it.client
                )
            });
            let changes: Vec<String> = changes.collect();
            format!("server answers pull {}: {}", request.id, changes.join("; "))
        }
        Fact::Hinted { .. } => return None,
        fact => format!("{fact:?}"),
    })
}

fn write_name(write: &Write) -> String {
    match write {
        Write::Meta { .. } => "meta".to_owned(),
        Write::PutStaged { batch, texts, .. } => format!("batch {batch} of {}", texts.len()),
        Write::DeleteStaged { batch } => format!("no batch {batch}"),
        Write::PutHeld { op, notice, .. } => {
            format!("held {op} {} {}: {}", notice.table, notice.lid, notice.code)
        }
        Write::DeleteHeld { op } => format!("released {op}"),
        Write::PutPage { page, .. } => format!("page {} {}", page.table, page.bucket),
        Write::ConsumeLog { table, first, last } => format!("no rows {table} {first}–{last}"),
        other => format!("{other:?}"),
    }
}
