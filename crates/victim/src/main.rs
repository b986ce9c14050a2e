//! Programs that misbehave on request; used by tests and the demo's twin.
fn main() {}
