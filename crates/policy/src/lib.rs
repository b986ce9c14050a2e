//! The rules: when to dump and what to keep, in given time.
//!
//! Everything a user can ask is a [`Rule`], and a rule reads as a sentence:
//! `on TARGET, when CONDITION [for DURATION], do ACTION, at most LIMIT times`.
//! The sentence is a language of its own: what is printed can be parsed again, to the same value.
//!
//! [`RuleSet`] is the engine. Facts go in with their time, commands come out; it makes no system
//! call and reads no clock, so that hours of watching are tested in milliseconds.
//! [`Retention`] says which stored dumps have to go, [`Repeats`] whether a crash is one that was
//! stored already, and [`Slots`] how many crashes are worked on at the same time.

mod action;
mod condition;
mod crash;
mod engine;
mod exception;
mod language;
mod level;
mod limits;
mod pattern;
mod quote;
mod repeats;
mod retention;
mod rule;
mod slots;
mod target;
mod trigger;
mod units;

pub use action::Action;
pub use condition::{Condition, Place};
pub use crash::{at_crash, first_about};
pub use engine::{
    ClauseStatus, Command, DumpId, DumpRequest, Event, ExceptionCount, Finish, Note, Outcome,
    RuleId, RuleSet, RuleState, Settings, Suppressed, WakeFor, Why,
};
pub use exception::{Chance, ExceptionFilter, Match, printed};
pub use language::{ParseError, parse_when, print_when};
pub use level::{Comparison, Gauge, Level, Unit};
pub use limits::{Limit, Limits, Scope, Window};
pub use pattern::{Filter, Pattern};
pub use repeats::{Repeat, Repeats};
pub use retention::{Disk, Free, Retention, StoredDump, Verdict};
pub use rule::{Clause, Follow, Rule, Series};
pub use slots::{SlotStep, Slots};
pub use target::{Identity, Target};
pub use trigger::{Trigger, TriggerKind, print_exit_status};
pub use units::{parse_duration, parse_size, print_count, print_duration, print_size};
