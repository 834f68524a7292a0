//! Writes effects.

use tidesync_engine::interface::{
    Conflict, Effect, HeldNotice, LogLevel, PageId, RecordName, RecordValue, TableRow, Text,
    TokenReason, Write,
};
use tidesync_protocol::json::ObjectWriter;

/// Effects of one turn.
#[derive(Default)]
pub(crate) struct Effects {
    json: String,
    bytes: Vec<u8>,
}

impl Effects {
    /// Appends an effect.
    pub(crate) fn push(&mut self, effect: &Effect) {
        self.json.push(if self.json.is_empty() { '[' } else { ',' });
        let json = self.effect(effect);
        self.json.push_str(&json);
    }

    /// The effects as an array, and the bytes that stand beside them.
    pub(crate) fn finish(mut self) -> (String, Vec<u8>) {
        if self.json.is_empty() {
            self.json.push('[');
        }
        self.json.push(']');
        (self.json, self.bytes)
    }

    fn effect(&mut self, effect: &Effect) -> String {
        match effect {
            Effect::Load { task } => tagged("load").whole("task", task.0).finish(),
            Effect::ReadLog {
                task,
                after,
                bytes_max,
                ops_max,
                values,
            } => tagged("readLog")
                .whole("task", task.0)
                .json("after", &list(after, &mut table_row))
                .whole("bytesMax", (*bytes_max).into())
                .whole("opsMax", (*ops_max).into())
                .flag("values", *values)
                .finish(),
            Effect::Scan {
                task,
                table,
                after,
                records_max,
                bytes_max,
            } => tagged("scan")
                .whole("task", task.0)
                .text("table", table)
                .optional("after", after.as_deref())
                .whole("recordsMax", (*records_max).into())
                .whole("bytesMax", (*bytes_max).into())
                .finish(),
            Effect::Prepare {
                task,
                slots,
                records,
                pages,
            } => tagged("prepare")
                .whole("task", task.0)
                .json("slots", &list(slots, &mut |slot| slot.0.to_string()))
                .json("records", &list(records, &mut record_name))
                .json("pages", &list(pages, &mut page_id))
                .finish(),
            Effect::Commit {
                task,
                fence,
                tails,
                writes,
            } => tagged("commit")
                .whole("task", task.0)
                .whole("fence", *fence)
                .json("tails", &list(tails, &mut table_row))
                .json("writes", &list(writes, &mut |write| self.write(write)))
                .finish(),
            Effect::Reserve {
                task,
                fence,
                table,
                count,
            } => tagged("reserve")
                .whole("task", task.0)
                .whole("fence", *fence)
                .text("table", table)
                .whole("count", (*count).into())
                .finish(),
            Effect::Push {
                task,
                batch,
                first,
                last,
                envelope,
                subject,
                token,
                timeout_ms,
            } => tagged("push")
                .whole("task", task.0)
                .whole("batch", *batch)
                .whole("first", (*first).into())
                .whole("last", (*last).into())
                .text("envelope", envelope)
                .text("subject", subject)
                .text("token", token_name(*token))
                .whole("timeoutMs", (*timeout_ms).into())
                .finish(),
            Effect::Pull {
                task,
                query,
                subject,
                token,
                timeout_ms,
            } => tagged("pull")
                .whole("task", task.0)
                .text("query", query)
                .text("subject", subject)
                .text("token", token_name(*token))
                .whole("timeoutMs", (*timeout_ms).into())
                .finish(),
            Effect::OpenStream {
                task,
                subject,
                token,
            } => tagged("openStream")
                .whole("task", task.0)
                .text("subject", subject)
                .text("token", token_name(*token))
                .finish(),
            Effect::AbortRequest => tagged("abortRequest").finish(),
            Effect::CloseStream => tagged("closeStream").finish(),
            Effect::AskResolver { task, conflict } => tagged("askResolver")
                .whole("task", task.0)
                .json("conflict", &written_conflict(conflict))
                .finish(),
            Effect::Resolve { call, ok } => tagged("resolve")
                .whole("call", call.0)
                .flag("ok", *ok)
                .finish(),
            Effect::Log { level, message } => tagged("log")
                .text("level", level_name(*level))
                .text("message", message)
                .finish(),
            Effect::Closed => tagged("closed").finish(),
        }
    }

    fn write(&mut self, write: &Write) -> String {
        match write {
            Write::Meta { state, owner } => tagged("meta")
                .text("state", state)
                .optional("owner", owner.as_deref())
                .finish(),
            Write::PutStaged {
                batch,
                state,
                texts,
            } => tagged("putStaged")
                .whole("batch", *batch)
                .json("state", &self.beside(state))
                .json("texts", &list(texts, &mut written_text))
                .finish(),
            Write::DeleteStaged { batch } => tagged("deleteStaged").whole("batch", *batch).finish(),
            Write::PutHeld {
                op,
                state,
                notice,
                user,
                base,
                text,
                remote,
            } => tagged("putHeld")
                .text("op", op)
                .json("state", &self.beside(state))
                .json("notice", &held_notice(notice))
                .text("user", user)
                .whole("base", *base)
                .json("text", &or_null(text.as_ref().map(written_text)))
                .optional("remote", remote.as_deref())
                .finish(),
            Write::RenewHeld {
                op,
                state,
                remote,
                message,
            } => tagged("renewHeld")
                .text("op", op)
                .json("state", &self.beside(state))
                .optional("remote", remote.as_deref())
                .optional("message", message.as_deref())
                .finish(),
            Write::DeleteHeld { op } => tagged("deleteHeld").text("op", op).finish(),
            Write::PutPage { page, whole, bytes } => tagged("putPage")
                .json("page", &page_id(page))
                .flag("whole", *whole)
                .json("bytes", &self.beside(bytes))
                .finish(),
            Write::ConsumeLog { table, first, last } => tagged("consumeLog")
                .text("table", table)
                .whole("first", *first)
                .whole("last", *last)
                .finish(),
            Write::SignLog {
                table,
                user,
                adopts,
            } => tagged("signLog")
                .text("table", table)
                .optional("user", user.as_deref())
                .flag("adopts", *adopts)
                .finish(),
            Write::AppendLog {
                table,
                lid,
                user,
                at_ms,
                delete,
            } => tagged("appendLog")
                .text("table", table)
                .text("lid", lid)
                .text("user", user)
                .whole("atMs", *at_ms)
                .flag("delete", *delete)
                .finish(),
            Write::PutRecord { table, lid, value } => tagged("putRecord")
                .text("table", table)
                .text("lid", lid)
                .json("value", &record_value(value))
                .finish(),
            Write::DeleteRecord { table, lid } => tagged("deleteRecord")
                .text("table", table)
                .text("lid", lid)
                .finish(),
            Write::PutHistory { entry } => tagged("putHistory").text("entry", entry).finish(),
        }
    }

    /// Puts bytes beside the JSON and gives their place.
    fn beside(&mut self, bytes: &[u8]) -> String {
        let offset = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        ["[", &offset.to_string(), ",", &bytes.len().to_string(), "]"].concat()
    }
}

fn tagged(kind: &str) -> ObjectWriter {
    let mut json = ObjectWriter::default();
    json.text("type", kind);
    json
}

fn list<T>(items: &[T], item: &mut dyn FnMut(&T) -> String) -> String {
    let mut json = "[".to_owned();
    for (at, each) in items.iter().enumerate() {
        if at > 0 {
            json.push(',');
        }
        json.push_str(&item(each));
    }
    json.push(']');
    json
}

fn or_null(json: Option<String>) -> String {
    json.unwrap_or_else(|| "null".to_owned())
}

fn table_row(row: &TableRow) -> String {
    ObjectWriter::default()
        .text("table", &row.table)
        .whole("row", row.row)
        .finish()
}

fn record_name(record: &RecordName) -> String {
    ObjectWriter::default()
        .text("table", &record.table)
        .text("lid", &record.lid)
        .finish()
}

fn page_id(page: &PageId) -> String {
    ObjectWriter::default()
        .text("table", &page.table)
        .whole("bucket", page.bucket.into())
        .finish()
}

fn written_conflict(conflict: &Conflict) -> String {
    ObjectWriter::default()
        .text("table", &conflict.table)
        .text("lid", &conflict.lid)
        .whole("base", conflict.base)
        .optional("local", conflict.local.as_deref())
        .optional("remote", conflict.remote.as_deref())
        .finish()
}

fn held_notice(notice: &HeldNotice) -> String {
    ObjectWriter::default()
        .text("table", &notice.table)
        .text("lid", &notice.lid)
        .text("code", &notice.code)
        .text("message", &notice.message)
        .whole("at_ms", notice.at_ms)
        .finish()
}

fn record_value(value: &RecordValue) -> String {
    let mut json = ObjectWriter::default();
    match value {
        RecordValue::Pulled { index } => json.text("is", "pulled").whole("index", (*index).into()),
        RecordValue::Text { text } => json.text("is", "text").text("text", text),
    };
    json.finish()
}

fn written_text(text: &Text) -> String {
    let mut json = ObjectWriter::default();
    match text {
        Text::Spliced { head, slot } => json
            .text("is", "spliced")
            .text("head", head)
            .whole("slot", slot.0.into()),
        Text::Whole { text } => json.text("is", "whole").text("text", text),
        Text::Kept { batch, index } => json
            .text("is", "kept")
            .whole("batch", *batch)
            .whole("index", (*index).into()),
    };
    json.finish()
}

fn token_name(token: TokenReason) -> &'static str {
    match token {
        TokenReason::Request => "request",
        TokenReason::Expired => "expired",
    }
}

fn level_name(level: LogLevel) -> &'static str {
    match level {
        LogLevel::Debug => "debug",
        LogLevel::Info => "info",
        LogLevel::Warn => "warn",
        LogLevel::Error => "error",
    }
}
