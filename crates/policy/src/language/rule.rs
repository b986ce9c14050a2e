//! The grammar of rules: targets, actions, limits.

use super::{
    lexer::TokenKind,
    parser::{Parsed, Parser},
};
use crate::{
    Action, Clause, Follow, Free, Limit, Limits, Pattern, Rule, Scope, Series, Target, Window,
    parse_duration, parse_size,
};
use snapshot::{Compression, DumpKind};

/// The prefixes of targets, for `on` and for [`target`].
const PREFIXES: [&str; 9] = [
    "name",
    "service",
    "user-service",
    "pool",
    "container",
    "cmdline",
    "image",
    "group",
    "launch",
];

/// The target that a user types on the command line, outside of a rule.
pub(super) fn target(text: &str) -> Option<Target> {
    let known = text.split_once(':').and_then(|(prefix, rest)| {
        let prefix = PREFIXES.iter().find(|p| p.eq_ignore_ascii_case(prefix))?;
        Some((prefix, rest))
    });
    match known {
        Some((prefix, rest)) => {
            let unquoted = Parser::whole(rest, |p| p.quoted("a name"));
            with_prefix(prefix, unquoted.unwrap_or_else(|_| rest.to_owned()))
        }
        None if text.chars().all(|c| c.is_ascii_digit()) => text.parse().ok().map(Target::Pid),
        None if has_misspelt_prefix(text) => None,
        None => Some(Target::Name(text.to_owned())),
    }
}

/// Whether a name looks like a target of another kind whose word is misspelt: `servcie:checkout`. A process of such a
/// name is meant by `name:"servcie:checkout"`.
fn has_misspelt_prefix(text: &str) -> bool {
    let Some((prefix, _)) = text.split_once(':') else {
        return false;
    };
    let prefix = prefix.to_ascii_lowercase();
    let is_near = |known: &str| strsim::osa_distance(known, &prefix) <= 2;
    prefix.len() > 2 && PREFIXES.iter().any(|known| is_near(known))
}

fn with_prefix(prefix: &str, rest: String) -> Option<Target> {
    if rest.is_empty() {
        return None;
    }
    Some(match prefix {
        "name" => Target::Name(rest),
        "service" => Target::Service(rest),
        "user-service" => Target::UserService(rest),
        "pool" => Target::Pool(rest),
        "container" => Target::Container(rest),
        "cmdline" => Target::CommandLine(Pattern::new(rest)),
        "image" => Target::Image(whole_path(rest)?),
        "group" => Target::Group(rest.parse().ok()?),
        _ => Target::Launch(rest),
    })
}

/// Returns the path if it begins at a root, of Linux or of Windows: no process has any other as its program file.
fn whole_path(path: String) -> Option<String> {
    let has_drive = path.get(1..3).is_some_and(|at| at == ":\\" || at == ":/");
    (path.starts_with(['/', '\\']) || has_drive).then_some(path)
}

impl Parser<'_> {
    /// `["NAME":] on TARGET, CLAUSE; …; into "FOLDER"; compress zstd:1; LIMIT; …`
    pub(super) fn rule(&mut self) -> Parsed<Rule> {
        let name = self.rule_name()?;
        self.expect("on")?;
        let follow = self.follow()?;
        let mut rule = Rule::new(self.target()?, Vec::new());
        rule.name = name;
        rule.follow = follow;
        rule.children = self.children()?;
        self.expect_sign(",")?;
        rule.clauses.push(self.clause()?);
        while self.eat_sign(";") {
            self.rest_of_rule(&mut rule)?;
        }
        Ok(rule)
    }

    fn rule_name(&mut self) -> Parsed<String> {
        if !matches!(self.peek(), TokenKind::Text(_)) {
            return Ok(String::new());
        }
        let name = self.quoted("the rule's name")?;
        self.expect(":")?;
        Ok(name)
    }

    fn follow(&mut self) -> Parsed<Follow> {
        if self.eat("each") {
            return Ok(Follow::Each);
        }
        if self.eat("all") {
            return Ok(Follow::All);
        }
        if !self.eat("the") {
            return Ok(Follow::One);
        }
        self.expect("next")?;
        Ok(Follow::Next)
    }

    fn target(&mut self) -> Parsed<Target> {
        let here = self.expected(
            "a target: name, pid, service:NAME, pool:NAME, container:ID or cmdline:\"glob\"",
        );
        if let TokenKind::Text(name) = self.peek() {
            let name = name.clone();
            self.advance();
            return (!name.is_empty()).then_some(Target::Name(name)).ok_or(here);
        }
        let word = self.peek_word().ok_or_else(|| here.clone())?;
        self.advance();
        let quoted =
            word.ends_with(':') && self.is_glued() && matches!(self.peek(), TokenKind::Text(_));
        if quoted {
            let rest = self.quoted("a name")?;
            return with_prefix(&word[..word.len() - 1], rest).ok_or(here);
        }
        target(word).ok_or(here)
    }

    fn children(&mut self) -> Parsed<bool> {
        let here = self.eat("and");
        if here {
            self.expect("its")?;
            self.expect("children")?;
        }
        Ok(here)
    }

    fn rest_of_rule(&mut self, rule: &mut Rule) -> Parsed<()> {
        match self.peek_word() {
            Some("when") => rule.clauses.push(self.clause()?),
            Some("into") => {
                self.advance();
                rule.folder = Some(self.quoted("a folder")?);
            }
            Some("compress") => {
                self.advance();
                rule.compress = Some(self.value("zstd or zstd:LEVEL", str::parse::<Compression>)?);
            }
            _ => self.limit_of_rule(&mut rule.limits)?,
        }
        Ok(())
    }

    /// `when CONDITION, do ACTION [SERIES][, at most N times]`
    fn clause(&mut self) -> Parsed<Clause> {
        self.expect("when")?;
        let when = self.when()?;
        self.expect_sign(",")?;
        self.expect("do")?;
        let action = self.action()?;
        let series = match self.peek() {
            TokenKind::Word(word) if word.starts_with(|c: char| c.is_ascii_digit()) => {
                Some(self.series()?)
            }
            _ => None,
        };
        let limit = match self.eat_sign(",") {
            true => Some(self.limit_of_clause()?),
            false => None,
        };
        Ok(Clause {
            when,
            action,
            series,
            limit,
        })
    }

    /// `N times every DURATION [then ACTION]`
    fn series(&mut self) -> Parsed<Series> {
        let count = self.times()?;
        self.expect("every")?;
        let every = self.duration()?;
        let then = match self.eat("then") {
            true => Some(self.action()?),
            false => None,
        };
        Ok(Series { count, every, then })
    }

    fn limit_of_clause(&mut self) -> Parsed<Limit> {
        self.expect("at")?;
        self.expect("most")?;
        let times = self.times()?;
        let scope = self.scope()?;
        Ok(Limit { times, scope })
    }

    /// `per process`, or nothing.
    fn scope(&mut self) -> Parsed<Scope> {
        match self.eat("per") {
            true => self.expect("process").map(|()| Scope::Process),
            false => Ok(Scope::Rule),
        }
    }

    /// `for each condition`, or nothing.
    fn each_condition(&mut self) -> Parsed<bool> {
        if !self.eat("for") {
            return Ok(false);
        }
        self.expect("each")?;
        self.expect("condition").map(|()| true)
    }

    fn times(&mut self) -> Parsed<u32> {
        let count = self.number("how many times")?;
        match self.eat("times") || self.eat("time") {
            true => Ok(count),
            false => Err(self.expected("`times`")),
        }
    }

    fn dumps(&mut self) -> Parsed<u32> {
        let count = self.number("how many dumps")?;
        match self.eat("dumps") || self.eat("dump") {
            true => Ok(count),
            false => Err(self.expected("`dumps`")),
        }
    }

    fn limit_of_rule(&mut self, limits: &mut Limits) -> Parsed<()> {
        if self.eat("keep") {
            return self.keep(limits);
        }
        if self.eat("skip") {
            self.expect("while")?;
            limits.avoid_outage = true;
            return self.expect("busy");
        }
        if !self.eat("at") {
            return Err(
                self.expected("`when`, `into`, `compress`, `at most`, `skip while busy` or `keep`")
            );
        }
        self.expect("most")?;
        let count = self.dumps()?;
        if self.eat("per") {
            return self.per_signature(count, limits);
        }
        if self.eat("at") {
            limits.concurrent = count;
            return self.expect("once");
        }
        self.expect("in")?;
        match self.eat("all") {
            true => limits.max_dumps = Some(count),
            false => {
                let within = self.duration()?;
                let scope = self.scope()?;
                let each_condition = self.each_condition()?;
                limits.windows.push(Window {
                    count,
                    within,
                    scope,
                    each_condition,
                });
            }
        }
        Ok(())
    }

    /// `at most 1 dump per signature in 1h`, from `signature` on. Only 1 has a meaning: what comes
    /// again is the same crash.
    fn per_signature(&mut self, count: u32, limits: &mut Limits) -> Parsed<()> {
        if count != 1 {
            return Err(self.expected("`1 dump` before `per signature`"));
        }
        self.expect("signature")?;
        self.expect("in")?;
        limits.repeat_window = Some(self.duration()?);
        Ok(())
    }

    /// `keep at most 10 dumps`, `keep at most 10GiB`, `keep at most 7d`, `keep 5% free`
    fn keep(&mut self, limits: &mut Limits) -> Parsed<()> {
        let keep = &mut limits.keep;
        if !self.eat("at") {
            keep.keep_free = Some(self.value("a size or a percentage", str::parse::<Free>)?);
            return self.expect("free");
        }
        self.expect("most")?;
        let word = self.peek_word().unwrap_or_default();
        if word.chars().all(|c| c.is_ascii_digit()) {
            keep.max_count = Some(self.dumps()?);
        } else if let Ok(bytes) = parse_size(word) {
            keep.max_bytes = Some(bytes);
            self.advance();
        } else {
            let age = parse_duration(word).map_err(|_| {
                self.expected("a number of dumps, a size such as 10GiB or an age such as 7d")
            });
            keep.max_age = Some(age?);
            self.advance();
        }
        Ok(())
    }

    /// `mini and full dump`, `custom dump 0x33`, `log stack`, `log exception`, `none`, `run "…"`
    pub(super) fn action(&mut self) -> Parsed<Action> {
        if self.eat("none") {
            return Ok(Action::None);
        }
        if self.eat("run") {
            return self.quoted("a program").map(Action::Run);
        }
        if !self.eat("log") {
            return self.dump();
        }
        if self.eat("stack") {
            return Ok(Action::LogStack);
        }
        self.expect("exception")?;
        Ok(Action::LogException)
    }

    fn dump(&mut self) -> Parsed<Action> {
        let mut kinds = Vec::new();
        loop {
            let kind = self.value(
                "an action: full, mini, plus, triage, filtered or custom dump, log stack, log exception, none or run \"PROGRAM\"",
                kind_of_dump,
            )?;
            let dump = self.eat("dump");
            let kind = match kind {
                Some(kind) => kind,
                None => self.value("a mask, such as 0x33", mask)?,
            };
            kinds.push(kind);
            match (self.eat("and"), dump) {
                (true, _) => {}
                (false, true) => return Ok(kinds.into_iter().collect()),
                (false, false) => return Err(self.expected("`dump`")),
            }
        }
    }
}

/// The kind of dump of that name; `None` for `custom`, which a mask follows.
fn kind_of_dump(word: &str) -> Result<Option<DumpKind>, String> {
    match &word.to_ascii_lowercase()[..] {
        "triage" => Ok(Some(DumpKind::Triage)),
        "mini" => Ok(Some(DumpKind::Mini)),
        "callback" => Ok(Some(DumpKind::Callback)),
        "plus" => Ok(Some(DumpKind::Plus)),
        "full" => Ok(Some(DumpKind::Full)),
        "filtered" => Ok(Some(DumpKind::Filtered)),
        "custom" => Ok(None),
        _ => Err(format!(
            "`{word}` is no action: full, mini, plus, triage or custom dump, log stack, log \
             exception, none or run \"PROGRAM\""
        )),
    }
}

fn mask(word: &str) -> Result<DumpKind, String> {
    let digits = word.strip_prefix("0x").unwrap_or(word);
    u64::from_str_radix(digits, 16)
        .map(DumpKind::Custom)
        .map_err(|_| format!("`{word}` is no mask, such as 0x33"))
}
