//! What can stand in a rule file, as serde reads it.
//!
//! Each value is parsed by its own type, so that an error points at its line and column.

use policy::{
    Action, Clause, Condition, Follow, Limit, Limits, Retention, Rule, Scope, Series, Target,
    Window,
};
use serde::{Deserialize, Deserializer, de::Error};
use snapshot::Compression;
use std::{fmt::Display, num::NonZeroU32, str::FromStr, time::Duration};

/// Dumps of a rule that has no `max-dumps`: 10, as in DebugDiag, so that a forgotten rule does not
/// fill a disk.
pub(super) const DEFAULT_MAX_DUMPS: u32 = 10;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    #[serde(default, rename = "rule")]
    pub(super) rules: Vec<FileRule>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct FileRule {
    #[serde(default)]
    name: String,
    target: Parsed<Target>,
    follow: Option<FileFollow>,
    #[serde(default)]
    children: bool,
    folder: Option<String>,
    compress: Option<Parsed<Compression>>,
    max_dumps: Option<u32>,
    #[serde(default)]
    max_dumps_per: Several<Parsed<Window>>,
    repeat_window: Option<Span>,
    dumps_at_once: Option<NonZeroU32>,
    #[serde(default)]
    skip_while_busy: bool,
    keep_dumps: Option<u32>,
    max_folder: Option<Size>,
    max_age: Option<Span>,
    keep_free: Option<Parsed<policy::Free>>,
    #[serde(deserialize_with = "at_least_one")]
    on: Vec<FileClause>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum FileFollow {
    One,
    Next,
    Each,
    All,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct FileClause {
    when: When,
    r#do: Parsed<Action>,
    limit: Option<u32>,
    limit_per_process: Option<u32>,
    series: Option<FileSeries>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileSeries {
    count: NonZeroU32,
    every: Span,
    then: Option<Parsed<Action>>,
}

/// A value of type `T` that the file has as text.
struct Parsed<T>(T);

impl<'de, T: FromStr<Err: Display>> Deserialize<'de> for Parsed<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        text.parse().map(Parsed).map_err(D::Error::custom)
    }
}

/// A duration that the file has as text: `10s`.
#[derive(Clone, Copy)]
struct Span(Duration);

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        policy::parse_duration(&text)
            .map(Span)
            .map_err(D::Error::custom)
    }
}

/// A size that the file has as text: `10GiB`.
struct Size(u64);

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        policy::parse_size(&text)
            .map(Size)
            .map_err(D::Error::custom)
    }
}

/// One value, or a list of them.
struct Several<T>(Vec<T>);

impl<T> Default for Several<T> {
    fn default() -> Self {
        Several(Vec::new())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Several<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(OneOrMany(std::marker::PhantomData))
            .map(Several)
    }
}

/// Reads a text as one value and a list as many. An untagged enum of serde would lose the reason
/// why a value is wrong.
struct OneOrMany<T>(std::marker::PhantomData<T>);

impl<'de, T: Deserialize<'de>> serde::de::Visitor<'de> for OneOrMany<T> {
    type Value = Vec<T>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a text or a list of texts")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Vec<T>, E> {
        let text = serde::de::value::StrDeserializer::new(text);
        Ok(vec![T::deserialize(text)?])
    }

    fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut list: A) -> Result<Vec<T>, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = list.next_element()? {
            items.push(item);
        }
        Ok(items)
    }
}

/// Conditions of which one must be met: `A or B` as text, or a list of such texts.
struct When(Vec<Condition>);

impl<'de> Deserialize<'de> for When {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let texts = Several::<Conditions>::deserialize(from)?;
        let when: Vec<_> = texts.0.into_iter().flat_map(|c| c.0).collect();
        match when.is_empty() {
            true => Err(D::Error::custom("expected at least one condition")),
            false => Ok(When(when)),
        }
    }
}

struct Conditions(Vec<Condition>);

impl<'de> Deserialize<'de> for Conditions {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        policy::parse_when(&text)
            .map(Conditions)
            .map_err(D::Error::custom)
    }
}

fn at_least_one<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<FileClause>, D::Error> {
    let clauses: Vec<FileClause> = Vec::deserialize(from)?;
    let given = |limit: Option<u32>| limit.is_some_and(|times| times > 0);
    let both = |clause: &FileClause| given(clause.limit) && given(clause.limit_per_process);
    if clauses.iter().any(both) {
        let message = "`limit` and `limit-per-process` do not go together";
        return Err(D::Error::custom(message));
    }
    match clauses.is_empty() {
        true => Err(D::Error::custom("a rule needs at least one [[rule.on]]")),
        false => Ok(clauses),
    }
}

impl From<FileRule> for Rule {
    fn from(file: FileRule) -> Self {
        let target = file.target.0;
        let follow = match file.follow {
            None => default_follow(&target),
            Some(FileFollow::One) => Follow::One,
            Some(FileFollow::Next) => Follow::Next,
            Some(FileFollow::Each) => Follow::Each,
            Some(FileFollow::All) => Follow::All,
        };
        let clauses: Vec<_> = file.on.into_iter().map(Clause::from).collect();
        let max_dumps = file.max_dumps.unwrap_or(default_max_dumps(&clauses));
        let keep = Retention {
            max_count: file.keep_dumps,
            max_bytes: file.max_folder.map(|size| size.0),
            max_age: file.max_age.map(|age| age.0),
            keep_free: file.keep_free.map(|free| free.0),
        };
        let limits = Limits {
            max_dumps: (max_dumps > 0).then_some(max_dumps),
            windows: file.max_dumps_per.0.into_iter().map(|w| w.0).collect(),
            repeat_window: file.repeat_window.map(|window| window.0),
            concurrent: file.dumps_at_once.map_or(1, NonZeroU32::get),
            avoid_outage: file.skip_while_busy,
            keep,
        };
        Rule {
            name: file.name,
            target,
            follow,
            children: file.children,
            clauses,
            folder: file.folder,
            compress: file.compress.map(|compression| compression.0),
            limits,
        }
    }
}

/// Which processes a rule without `follow` is about: each that has the name, or the one process
/// that has the pid.
pub(super) fn default_follow(target: &Target) -> Follow {
    match target.is_single() {
        true => Follow::One,
        false => Follow::Each,
    }
}

/// The limit of a rule without `max-dumps`: as many as DebugDiag's rules take, but at least one
/// round of all series, as DebugDiag's default series has 11 dumps.
pub(super) fn default_max_dumps(clauses: &[Clause]) -> u32 {
    let length = |series: &Series| {
        let last = u32::from(series.then.is_some());
        series.count.saturating_add(last)
    };
    let series = clauses.iter().filter_map(|c| c.series.as_ref());
    let all = series.map(length).fold(0, u32::saturating_add);
    all.max(DEFAULT_MAX_DUMPS)
}

impl From<FileClause> for Clause {
    fn from(file: FileClause) -> Self {
        let limit = |times, scope| Limit { times, scope };
        // 0 means no limit, as in DebugDiag.
        let of_rule = file.limit.filter(|times| *times > 0);
        let of_process = file.limit_per_process.filter(|times| *times > 0);
        Clause {
            when: file.when.0,
            action: file.r#do.0,
            series: file.series.map(Series::from),
            limit: of_rule
                .map(|times| limit(times, Scope::Rule))
                .or(of_process.map(|times| limit(times, Scope::Process))),
        }
    }
}

impl From<FileSeries> for Series {
    fn from(file: FileSeries) -> Self {
        Series {
            count: file.count.get(),
            every: file.every.0,
            then: file.then.map(|action| action.0),
        }
    }
}
