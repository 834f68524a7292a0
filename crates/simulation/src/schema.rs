//! The app's tables. The same in every world, so that they can be named without allocation.

/// Keys of the app's, strings.
pub(crate) const NOTES: &str = "notes";
/// Keys of the app's, numbers.
pub(crate) const ITEMS: &str = "items";
/// Keys that the database generates.
pub(crate) const DRAFTS: &str = "drafts";
/// No reason to sync (a skip rule).
pub(crate) const CHECKPOINTS: &str = "checkpoints";
/// Kept by no server of worlds in which tables are refused.
pub(crate) const SECRETS: &str = "secrets";

/// Every table, and whether its keys are generated.
pub(crate) const TABLES: [(&str, bool); 5] = [
    (NOTES, false),
    (ITEMS, false),
    (DRAFTS, true),
    (CHECKPOINTS, false),
    (SECRETS, false),
];

/// The table of this name, as the schema spells it.
pub(crate) fn table(name: &str) -> &'static str {
    let found = TABLES.iter().find(|(table, _)| *table == name);
    found.map_or("", |(table, _)| table)
}

/// Whether a table's keys are generated.
pub(crate) fn is_generated(name: &str) -> bool {
    TABLES
        .iter()
        .any(|(table, generated)| *table == name && *generated)
}
