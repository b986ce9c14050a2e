/// Whether a letter may change how the text around it is shown: a control character, a line separator, or one that
/// sets the direction of writing (Unicode Standard Annex 9). A program may have such letters in its name, so that a
/// line about it would read as something else.
pub fn disturbs_text(letter: char) -> bool {
    letter.is_control()
        || matches!(letter, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}
