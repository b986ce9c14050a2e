//! Which C++ exception a program dies of, where others were caught before: pointers to these are still on its stack.

use crate::support::{Program, compile};
use crate::victims::{assert_ends, line};

const CXX: Program = Program::cpp("caught.cpp");

const HOW: [&[&str]; 3] = [
    &["-O0", "-g", "-pthread"],
    &["-O2", "-s", "-pthread"],
    &["-O0", "-static", "-s", "-pthread"],
];

/// Each of these ends of the program, however it is linked.
fn assert_all_end(ends: &[(&str, &str)]) {
    for options in HOW {
        let program = compile(&CXX.with(options));
        for (words, name) in ends {
            let words: Vec<&str> = words.split(' ').collect();
            assert_ends(&line(program.clone(), &words), Some(name));
        }
    }
}

#[test]
fn n43_an_exception_that_is_over_is_not_what_a_program_dies_of() {
    assert_all_end(&[
        ("abort", "SIGABRT.SI_TKILL"),
        ("kill", "SIGABRT.SI_USER"),
        ("assert", "SIGABRT.SI_TKILL"),
        ("terminate", "SIGABRT.SI_TKILL"),
        ("abort thread", "SIGABRT.SI_TKILL"),
        ("terminate thread", "SIGABRT.SI_TKILL"),
        ("abort holds", "SIGABRT.SI_TKILL"),
        ("abort holds thread", "SIGABRT.SI_TKILL"),
    ]);
}

#[test]
fn n43_the_exception_that_nobody_caught_is_told_and_not_one_before() {
    assert_all_end(&[
        ("throw", "CXX.std::runtime_error (\"nobody catches me\")"),
        (
            "throw handler",
            "CXX.std::runtime_error (\"nobody catches me\")",
        ),
        (
            "throw thread holds",
            "CXX.std::runtime_error (\"nobody catches me\")",
        ),
        ("noexcept", "CXX.std::runtime_error (\"in noexcept\")"),
        ("destructor", "CXX.std::runtime_error (\"in a destructor\")"),
        ("rethrow", "CXX.std::runtime_error (\"thrown again\")"),
        ("nested thread", "CXX.std::runtime_error (\"nested\")"),
        ("later holds", "CXX.std::runtime_error (\"harmless 2\")"),
    ]);
}
