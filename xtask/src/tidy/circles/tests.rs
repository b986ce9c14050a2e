use super::*;

/// The circles of a crate of these files, each as its modules' names.
fn found(files: &[(&str, &str)]) -> Vec<String> {
    circles(&sources(files)).iter().map(Circle::name).collect()
}

fn sources(files: &[(&str, &str)]) -> Vec<Source> {
    let source =
        |(name, text): &(&str, &str)| Source::new(&format!("crates/x/src/{name}"), text).unwrap();
    files.iter().map(source).collect()
}

#[test]
fn a_circle_is_found_by_use_and_by_path() {
    for (a, b) in [
        ("use crate::b::B;", "use crate::a::A;"),
        ("use super::b;", "use super::a;"),
        ("fn f() { crate::b::g() }", "fn g(_: super::a::A) {}"),
        (
            "use crate::{fmt, b::{self, B}};",
            "use super::{a as other};",
        ),
    ] {
        let files = [("lib.rs", "mod a; mod b;"), ("a.rs", a), ("b.rs", b)];
        assert_eq!(found(&files), ["crates/x/src: a ↔ b"], "{a} {b}");
    }
}

#[test]
fn one_way_is_no_circle_and_nor_are_parent_and_child() {
    let one_way = [
        ("lib.rs", "mod a; mod b; use a::A;"),
        ("a.rs", "use super::b::B; use super::Root;"),
        (
            "b.rs",
            "// use super::a::A\nconst B: &str = \"crate::a::A\";",
        ),
    ];
    assert_eq!(found(&one_way), [""; 0]);
    let parent = [
        ("lib.rs", "mod a;"),
        ("a/mod.rs", "mod b; use b::B;"),
        ("a/b.rs", "use super::A; use crate::a::Other;"),
    ];
    assert_eq!(found(&parent), [""; 0]);
}

#[test]
fn neighbours_in_a_folder_count_and_so_does_all_below_them() {
    let files = [
        ("lib.rs", "mod a; mod b;"),
        ("a/mod.rs", "mod one; mod two;"),
        ("a/one.rs", "use super::two::T; use crate::b::B;"),
        ("a/two.rs", "use super::one::T;"),
        ("b/mod.rs", "mod deep;"),
        ("b/deep.rs", "use crate::a::one::T;"),
    ];
    assert_eq!(
        found(&files),
        ["crates/x/src: a ↔ b", "crates/x/src/a: one ↔ two"]
    );
}

#[test]
fn a_name_that_the_parent_takes_from_a_module_is_a_use_of_that_module() {
    let files = [
        ("lib.rs", "mod a; mod b; pub use b::B;"),
        ("a.rs", "use crate::B;"),
        ("b.rs", "use crate::a::A;"),
    ];
    assert_eq!(found(&files), ["crates/x/src: a ↔ b"]);
}

#[test]
fn a_circle_of_three_is_one_circle() {
    let files = [
        ("a.rs", "use super::b;"),
        ("b.rs", "use super::c;"),
        ("c.rs", "use super::a; use super::d;"),
        ("d.rs", ""),
    ];
    assert_eq!(found(&files), ["crates/x/src: a ↔ b ↔ c"]);
}

#[test]
fn what_only_tests_use_does_not_count() {
    let files = [
        ("a.rs", "use super::b;"),
        ("b.rs", "#[cfg(test)] mod tests { use crate::a::A; }"),
    ];
    assert_eq!(found(&files), [""; 0]);
}

#[test]
fn names_that_lead_in_a_ring_end() {
    let files = [
        ("a.rs", "pub use super::b::X;"),
        ("b.rs", "pub use super::a::X;"),
    ];
    assert_eq!(found(&files), ["crates/x/src: a ↔ b"]);
}

#[test]
fn the_table_and_the_code_must_agree() {
    let files = [("a.rs", "use super::b;"), ("b.rs", "use super::a;")];
    let circles = circles(&sources(&files));
    let entry = |modules| Allowed {
        folder: "crates/x/src",
        modules,
        reason: "it is small",
    };

    let (problems, allowed) = compare(&circles, &[entry(&["a", "b"])]);
    assert_eq!(problems, []);
    assert_eq!(allowed, ["crates/x/src: a ↔ b: it is small"]);

    let (problems, allowed) = compare(&circles, &[]);
    assert!(allowed.is_empty());
    let text = &problems[0].text;
    for part in ["a, b use each other", "a uses b at crates/x/src/a.rs:1"] {
        assert!(text.contains(part), "{text}");
    }

    // An entry with another module in it is about another circle: both are problems.
    let (problems, _) = compare(&circles, &[entry(&["a", "b", "c"])]);
    assert_eq!(problems.len(), 2);
    assert!(problems[1].text.contains("is gone"), "{}", problems[1].text);
}
