/// Whether a letter may change how the text around it is shown, or is not shown itself: a control character, a line
/// separator, one without a width, or one that sets the direction of writing (Unicode Standard Annex 9). A program may
/// have such letters in its name, so that a line about it would read as something else.
pub fn disturbs_text(letter: char) -> bool {
    letter.is_control()
        || matches!(letter, '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}')
}

/// Returns a text in which letters that differ in case alone are the same: Unicode's simple case folding
/// (`CaseFolding.txt`, C and S), one letter for one letter, as Windows and NTFS compare names. Thus `Ä` is `ä` and `Ж`
/// is `ж`, but `İ` is not `i`, and `ß` is not `ss`.
pub fn fold_case(text: &str) -> String {
    text.chars().map(fold).collect()
}

/// Whether two names are the same but for the case of their letters.
pub fn same_name(one: &str, other: &str) -> bool {
    one.chars().map(fold).eq(other.chars().map(fold))
}

/// The lower case of the upper case is the same for letters that have two lower cases (`σ` and `ς`).
fn fold(letter: char) -> char {
    /// The `i` without a dot folds to itself, although its upper case is `I`.
    const DOTLESS: char = '\u{131}';
    match letter {
        letter if letter.is_ascii() => letter.to_ascii_lowercase(),
        DOTLESS => letter,
        _ => {
            let upper = single(letter.to_uppercase()).unwrap_or(letter);
            single(upper.to_lowercase()).unwrap_or(upper)
        }
    }
}

/// The letter, if it is one alone.
fn single(mut letters: impl Iterator<Item = char>) -> Option<char> {
    let first = letters.next()?;
    letters.next().is_none().then_some(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn n26_case_is_folded_letter_by_letter() {
        for (one, other, same) in [
            ("w3wp.EXE", "W3WP.exe", true),
            ("größe", "GRÖßE", true),
            ("größe", "GRÖSSE", false),
            ("Жук", "жУК", true),
            ("ΣΊΣΥΦΟΣ", "σίσυφος", true),
            ("İ", "i", false),
            ("İ", "İ", true),
            ("ı", "I", false),
            ("ẞ", "ß", true),
            ("Dž", "dž", true),
            ("a", "ab", false),
        ] {
            assert_eq!(same_name(one, other), same, "{one} {other}");
            assert_eq!(fold_case(one) == fold_case(other), same, "{one} {other}");
        }
    }
}
