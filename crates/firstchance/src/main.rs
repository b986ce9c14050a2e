//! firstchance: the right dump at the right moment, and the target lives on.
fn main() {}
