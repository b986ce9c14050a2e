//! What a browser makes of the pages.

use crate::inspect::tests::{hostile, opened, record, report_of, snapshot};
use crate::inspect::{Opened, Section, Series, html};
use html5ever::tendril::StrTendril;
use html5ever::tokenizer::states::RawKind;
use html5ever::tokenizer::{
    BufferQueue, TagKind, Token, TokenSink, TokenSinkResult, Tokenizer, TokenizerOpts,
};
use snapshot::{Snapshot, WallTime};
use std::cell::RefCell;

/// A page as a browser reads it.
#[derive(Default)]
struct Seen {
    open: Vec<String>,
    elements: Vec<(String, Vec<(String, String)>)>,
    text: String,
    errors: Vec<String>,
}

struct Sink(RefCell<Seen>);

impl TokenSink for Sink {
    type Handle = ();

    fn process_token(&self, token: Token, _line: u64) -> TokenSinkResult<()> {
        let mut seen = self.0.borrow_mut();
        match token {
            Token::TagToken(tag) if tag.kind == TagKind::StartTag => {
                let name = tag.name.to_string();
                let attrs = tag.attrs.iter();
                let attrs = attrs.map(|a| (a.name.local.to_string(), a.value.to_string()));
                seen.elements.push((name.clone(), attrs.collect()));
                if !["meta", "input"].contains(&&name[..]) {
                    seen.open.push(name.clone());
                }
                match &name[..] {
                    "style" => return TokenSinkResult::RawData(RawKind::Rawtext),
                    "script" => return TokenSinkResult::RawData(RawKind::ScriptData),
                    "title" if !seen.open.iter().any(|open| open == "svg") => {
                        return TokenSinkResult::RawData(RawKind::Rcdata);
                    }
                    _ => {}
                }
            }
            Token::TagToken(tag) => {
                let open = seen.open.pop();
                if open.as_deref() != Some(&*tag.name) {
                    seen.errors.push(format!("{open:?} ends as {}", tag.name));
                }
                seen.text.push(' ');
            }
            Token::CharacterTokens(text) => {
                let is_code = |name: &String| ["style", "script"].contains(&&name[..]);
                if !seen.open.last().is_some_and(is_code) {
                    seen.text += &text;
                }
            }
            Token::ParseError(error) => seen.errors.push(error.to_string()),
            Token::CommentToken(_) | Token::NullCharacterToken => {
                seen.errors.push("a comment, or a zero".to_owned());
            }
            Token::DoctypeToken(_) | Token::EOFToken => {}
        }
        TokenSinkResult::Continue
    }
}

/// Reads a page, and asserts what holds for all pages: it is well formed, and nothing in it can run, load or be sent but its own
/// style and script.
fn seen(page: &str) -> Seen {
    let tokenizer = Tokenizer::new(Sink(RefCell::default()), TokenizerOpts::default());
    let input = BufferQueue::default();
    input.push_back(StrTendril::from(page));
    let _ = tokenizer.feed(&input);
    tokenizer.end();
    let seen = tokenizer.sink.0.into_inner();
    assert!(seen.open.is_empty(), "{:?} do not end", seen.open);
    assert!(seen.errors.is_empty(), "{:?}", seen.errors);
    let disturbs = |letter: char| letter != '\n' && snapshot::disturbs_text(letter);
    assert_eq!(page.chars().find(|letter| disturbs(*letter)), None);
    for (name, attrs) in &seen.elements {
        assert_harmless(name, attrs);
    }
    for once in ["style", "script", "title"] {
        let elements = seen.elements.iter();
        let in_head = elements.take_while(|(name, _)| name != "body");
        assert_eq!(in_head.filter(|(name, _)| name == once).count(), 1);
    }
    seen
}

fn assert_harmless(name: &str, attrs: &[(String, String)]) {
    const NAMES: &str = "html head meta title style script body header h1 h2 h3 p nav ul li a main section span strong dl dt dd \
        footer div table thead tbody tr th td details summary code input button figure figcaption svg g rect text polyline polygon";
    assert!(NAMES.split(' ').any(|known| known == name), "<{name}>");
    for (attr, value) in attrs {
        assert!(attr != "style" && !attr.starts_with("on"), "{name} {attr}");
        assert!(attr != "src" && attr != "action", "{name} {attr}");
        assert!(attr != "href" || value.starts_with('#'), "{name} {value}");
    }
}

fn page(opened: &Opened, sections: &[Section]) -> String {
    html::dump(opened, sections, None)
}

/// The words of a text, with one blank between them.
fn words(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn a_page_tells_all_that_the_text_tells() {
    let opened = opened(snapshot(), Some(record()));
    let shown = words(&seen(&page(&opened, &[Section::All])).text);
    let text = report_of(&opened, &[Section::All]);
    // Headings, cells, frames and their ends have two blanks or more between them.
    let pieces = text.lines().flat_map(|line| line.split("  "));
    for piece in pieces.map(words) {
        // The page names fewer threads of a group in its heading, and has the others below it.
        let piece = piece.split("27, 28").next().unwrap_or_default();
        let piece = piece.trim_end_matches(", ");
        assert!(shown.contains(piece), "{piece:?} is not in: {shown}");
    }
}

#[test]
fn the_environment_is_shown_on_request_only() {
    let opened = opened(snapshot(), None);
    assert!(!page(&opened, &[]).contains("SECRET"));
    assert!(page(&opened, &[Section::Environment]).contains("SECRET=1"));
    let only = seen(&page(&opened, &[Section::Modules])).text;
    assert!(only.contains("Modules: 1") && !only.contains("Regions"));
}

#[test]
fn links_lead_to_places_on_the_page() {
    let seen = seen(&page(&opened(snapshot(), Some(record())), &[Section::All]));
    let attrs = || seen.elements.iter().flat_map(|(_, attrs)| attrs);
    let values = |name: &str| -> Vec<&str> {
        let named = attrs().filter(|(attr, _)| attr == name);
        named.map(|(_, value)| &value[..]).collect()
    };
    let mut ids = values("id");
    for link in values("href") {
        assert!(ids.contains(&&link[1..]), "{link} of {ids:?}");
    }
    let all = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), all, "an id stands twice");
}

#[test]
fn names_that_a_program_made_up_are_text_and_short() {
    let evil = "\"'></title></style></script><script>alert(1)</script><img src=x onerror=alert(1)>&lt;\u{202e}\u{1b}[31m\0\r\n";
    let evil = evil.to_owned() + &"x".repeat(10_000);
    let opened = hostile(&evil);
    let shown = page(&opened, &[Section::All]);
    let seen = seen(&shown);
    assert!(seen.text.contains("><script>alert(1)</script><img"));
    assert!(seen.text.contains("&lt;\\u{202e}\\u{1b}[31m"));
    assert!(shown.len() < 500_000, "{}", shown.len());
}

#[test]
fn a_series_is_one_page() {
    let mut first = opened(hostile("<b>").dump.snapshot, None);
    let last = opened(hostile("<b>").dump.snapshot, None);
    first.dump.snapshot.taken = WallTime(1_799_999_999_000_000_000);
    let series = [first, last];
    let seen = seen(&html::series(&Series::of(&series)));
    for text in ["2 dumps of <b>", "Stood still", "Memory", "Stacks: 40"] {
        assert!(seen.text.contains(text), "{text} is not in: {}", seen.text);
    }
}

#[test]
fn a_dump_of_nothing_has_a_page() {
    let shown = seen(&page(&opened(Snapshot::default(), None), &[Section::All]));
    assert!(shown.text.contains("none is in the dump"));
}
