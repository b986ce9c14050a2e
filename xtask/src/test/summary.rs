//! The table at the end of a test run.

use std::time::Duration;

/// The result of a stage.
pub(crate) struct Done {
    pub(crate) name: &'static str,
    pub(crate) took: Duration,
    /// Why it failed; `None` if it did not.
    pub(crate) error: Option<String>,
}

/// Prints one line for each stage, and the whole time.
pub(crate) fn print(done: &[Done]) {
    println!("\n{:<14} {:<7} {:>9}", "stage", "result", "time");
    for stage in done {
        let result = if stage.error.is_some() {
            "FAILED"
        } else {
            "ok"
        };
        println!(
            "{:<14} {:<7} {:>7.1} s",
            stage.name,
            result,
            stage.took.as_secs_f64()
        );
    }
    let whole: Duration = done.iter().map(|stage| stage.took).sum();
    println!("{:<14} {:<7} {:>7.1} s", "in all", "", whole.as_secs_f64());
    for stage in done {
        if let Some(error) = &stage.error {
            println!("\n{} FAILED: {error}", stage.name);
        }
    }
}
