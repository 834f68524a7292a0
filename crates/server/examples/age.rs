//! Makes a stopped server's SQLite database older, as if so many days had passed since its last
//! change, for tests of what is forgotten in time.
//!
//! ```text
//! cargo run -p tidesync-server --example age -- tidesync.db 400
//! ```

use std::error::Error;

use rusqlite::Connection;

const DAY_MS: i64 = 24 * 3_600 * 1_000;

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let (Some(path), Some(days)) = (args.next(), args.next()) else {
        return Err("usage: age <database file> <days>".into());
    };
    let by = days.parse::<i64>()? * DAY_MS;
    let connection = Connection::open(path)?;
    connection.execute("UPDATE records SET updated_at = updated_at - ?1", [by])?;
    connection.execute("UPDATE operations SET at = at - ?1", [by])?;
    connection.execute("UPDATE audit SET at = at - ?1", [by])?;
    Ok(())
}
