//! Rules: when to act, what to do, and what to keep. All decisions of firstchance are made here, from values
//! and times that are given, without a system call or a clock.
//!
//! Everything that a user can ask for is a [`Rule`], and a rule reads as a sentence:
//! `on TARGET, when CONDITION [for DURATION], do ACTION, at most LIMIT times`.
//! `language` parses and prints these sentences.
//!
//! [`RuleSet`] is the engine: events go in with their time, commands come out. [`at_crash`] asks the same
//! engine about a crash. [`Retention`] decides which stored dumps are deleted, [`Repeats`] whether a crash
//! was stored already, and [`Slots`] how many crashes are handled at the same time.

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
    ClauseState, ClauseStatus, Command, DumpId, DumpRequest, Event, ExceptionCount, FinishReason,
    Note, Outcome, RuleId, RuleSet, RuleState, Settings, SuppressReason, Suppressed, WakeFor,
};
pub use exception::{Chance, ExceptionFilter, Match, printed};
pub use language::{ParseError, parse_when, print_when};
pub use level::{Comparison, Gauge, Level, Unit};
pub use limits::{Limit, Limits, Scope, Window};
pub use pattern::{Filter, Pattern};
pub use repeats::{Repeat, Repeats, SameCrash};
pub use retention::{Coming, Disk, Free, Retention, Stored, StoredDump, Verdict};
pub use rule::{Clause, Follow, Rule, Series};
pub use slots::{SlotStep, Slots};
pub use target::{Identity, Target};
pub use trigger::{Trigger, TriggerKind, shown_exception};
pub use units::{parse_duration, parse_size, print_count, print_duration, print_size};
