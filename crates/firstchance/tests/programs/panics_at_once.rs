//! Panics in a function that has a name.

#[inline(never)]
fn fails(number: usize) {
    // The line that a backtrace tells.
    assert!(number == 0, "as it was asked to");
}

fn main() {
    fails(std::env::args().count());
}
