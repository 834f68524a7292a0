//! The `tidesync` command.

fn main() {}
