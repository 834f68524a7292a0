//! Prints what a server's SQLite database holds, as JSON lines, for tests that assert in it.
//!
//! ```text
//! cargo run -p tidesync-server --example records -- tidesync.db
//! {"is":"record","space":"…","table":"notes","rid":"sn1","doc":{"id":"n1"},"version":1,"deleted":false,…}
//! {"is":"operation","client":"…","op":"…","verdict":"applied","version":1,"code":null,…}
//! {"is":"space","space":"…","version":1}
//! ```

use std::error::Error;
use std::io::{BufWriter, Write};

use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags, Row};
use serde_json::{Map, Value};

/// What is printed: the kind of line, and the query whose columns are its fields.
const QUERIES: [(&str, &str); 3] = [
    (
        "record",
        "SELECT space, table_name AS \"table\", rid, doc, version, deleted, client
         FROM records ORDER BY space, version",
    ),
    (
        "operation",
        "SELECT space, client, op, verdict, version, code FROM operations
         ORDER BY space, client, op",
    ),
    ("space", "SELECT space, version FROM spaces ORDER BY space"),
];

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args()
        .nth(1)
        .ok_or("usage: records <database file>")?;
    let mut connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    // One transaction: the three lists are of the same instant.
    let snapshot = connection.transaction()?;
    let mut out = BufWriter::new(std::io::stdout().lock());
    for (kind, query) in QUERIES {
        let mut statement = snapshot.prepare(query)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            writeln!(out, "{}", line(kind, row)?)?;
        }
    }
    out.flush()?;
    Ok(())
}

fn line(kind: &str, row: &Row<'_>) -> Result<Value, Box<dyn Error>> {
    let mut fields = Map::new();
    fields.insert("is".to_owned(), kind.into());
    for (index, name) in row.as_ref().column_names().enumerate() {
        fields.insert(name.to_owned(), field(name, row.get_ref(index)?)?);
    }
    Ok(fields.into())
}

fn field(name: &str, value: ValueRef<'_>) -> Result<Value, Box<dyn Error>> {
    Ok(match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(number) if name == "deleted" => (number != 0).into(),
        ValueRef::Integer(number) => number.into(),
        ValueRef::Real(number) => number.into(),
        ValueRef::Text(text) if name == "doc" => serde_json::from_slice(text)?,
        ValueRef::Text(text) => std::str::from_utf8(text)?.into(),
        ValueRef::Blob(_) => return Err("a blob where none is kept".into()),
    })
}
