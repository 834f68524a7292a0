//! The `tidesync` command.

mod log;
mod serve;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Cloud sync for the IndexedDB an app already has.
#[derive(Parser)]
#[command(name = "tidesync", version, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serves the sync protocol from a SQLite database.
    Serve(Box<serve::ServeArguments>),
}

fn main() -> ExitCode {
    match Arguments::parse().command {
        Command::Serve(arguments) => serve::serve(*arguments),
    }
}
