//! A page that stands alone.

use crate::Text;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use ring::digest::{SHA256, digest};

/// The stylesheet of all pages.
pub const STYLE: &str = include_str!("style.css");
/// What the page can do with scripts: it filters and opens stacks. Without, all of it can be read.
pub const SCRIPT: &str = include_str!("script.js");

/// A whole page of HTML that needs no other file. Nothing in it can be loaded or run but its own stylesheet and script, whose
/// hashes are in its policy (Content Security Policy Level 3, 2.3.1).
pub fn document(title: &str, body: &Markup) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(policy());
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="referrer" content="no-referrer";
                title { (Text(title)) }
                style { (PreEscaped(STYLE)) }
                script type="module" { (PreEscaped(SCRIPT)) }
            }
            body { (body) }
        }
    };
    page.into_string() + "\n"
}

fn policy() -> String {
    let (style, script) = (hash(STYLE), hash(SCRIPT));
    format!(
        "default-src 'none'; style-src '{style}'; script-src '{script}'; base-uri 'none'; form-action 'none'"
    )
}

fn hash(text: &str) -> String {
    format!(
        "sha256-{}",
        STANDARD.encode(digest(&SHA256, text.as_bytes()))
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_that_of_the_standard() {
        // The example of FIPS 180-2, in base64.
        assert_eq!(
            hash("abc"),
            "sha256-ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0="
        );
    }

    #[test]
    fn style_and_script_stand_in_the_page_as_they_were_hashed() {
        for text in [STYLE, SCRIPT] {
            assert!(!text.contains("</") && !text.contains("<!--"), "{text}");
            assert!(
                !text.contains("url(") && !text.contains("@import"),
                "{text}"
            );
        }
        let page = document("</title><script>alert(1)</script>", &html! { p { "x" } });
        let between = |start: &str, end: &str| -> &str {
            let mut parts = page.split(start);
            let text = parts.nth(1).and_then(|rest| rest.split(end).next());
            assert!(parts.next().is_none(), "{start} is twice in {page}");
            text.unwrap_or_else(|| panic!("no {start} in {page}"))
        };
        let policy = between("http-equiv=\"Content-Security-Policy\" content=\"", "\"");
        let style = hash(between("<style>", "</style>"));
        let script = hash(between("<script type=\"module\">", "</script>"));
        assert_eq!(
            policy.replace("&#39;", "'"),
            format!(
                "default-src 'none'; style-src '{style}'; script-src '{script}'; base-uri 'none'; form-action 'none'"
            )
        );
    }
}
