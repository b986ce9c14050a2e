//! The language: what parses prints, and what is printed parses to the same value.
#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| {
    if let Ok(rule) = text.parse::<policy::Rule>() {
        assert_eq!(rule.to_string().parse(), Ok(rule));
    }
    if let Ok(when) = policy::parse_when(text) {
        assert_eq!(policy::parse_when(&policy::print_when(&when)), Ok(when));
    }
});
