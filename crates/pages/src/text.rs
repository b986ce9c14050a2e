//! Text that somebody else wrote.

use maud::{Escaper, Render};
use std::fmt::Write as _;

/// Characters that are shown of a text, at most.
const LONGEST: usize = 4000;

/// Text from a target or a file. It is escaped, and so are letters in it that would change how the text around them is shown
/// ([`snapshot::disturbs_text`]). What is very long is cut, and the page says so.
pub struct Text<'a>(pub &'a str);

impl Render for Text<'_> {
    fn render_to(&self, buffer: &mut String) {
        let mut letters = self.0.chars();
        let mut shown = String::new();
        for letter in letters.by_ref().take(LONGEST) {
            match snapshot::disturbs_text(letter) {
                true => shown.extend(letter.escape_default()),
                false => shown.push(letter),
            }
        }
        let left = letters.count();
        if left > 0 {
            shown += &format!("… ({left} more letters)");
        }
        // Writing to a String cannot fail.
        let _ = Escaper::new(buffer).write_str(&shown);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_hostile_is_text() {
        let name = "\"><img src=x onerror=alert(1)></script>&amp;";
        let shown = Text(name).render().into_string();
        assert!(!shown.contains(['<', '>', '"']), "{shown}");
        assert!(shown.contains("&amp;amp;"), "{shown}");
    }

    #[test]
    fn what_is_long_is_cut_and_that_is_said() {
        let long = "ü".repeat(1_000_000);
        let shown = Text(&long).render().into_string();
        assert!(shown.len() < 3 * LONGEST, "{}", shown.len());
        assert!(shown.ends_with("ü… (996000 more letters)"));
        let short = "ü".repeat(LONGEST);
        assert_eq!(Text(&short).render().into_string(), short);
    }

    #[test]
    fn letters_that_turn_the_text_around_are_escaped() {
        let shown = Text("a\u{202e}b\n\u{1b}ü\0").render().into_string();
        assert_eq!(shown, "a\\u{202e}b\\n\\u{1b}ü\\u{0}");
    }
}
