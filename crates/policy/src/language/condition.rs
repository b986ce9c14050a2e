//! The grammar of conditions.

use super::{
    lexer::TokenKind,
    parser::{Parsed, Parser},
};
use crate::{
    Chance, Comparison, Condition, ExceptionFilter, Filter, Gauge, Level, Match, Pattern, Place,
    Unit, parse_size, units::split_number,
};
use std::time::Duration;

/// What a condition can begin with; for the error message.
const BEGINNINGS: &str = "a condition: cpu, core-cpu, memory, rss, rss+swap, virtual, threads, \
    handles, counter, hang, http, exception, unhandled exception, signal, breakpoint, module, thread, \
    debug string, exit, now or every";

const SIGKILL: i32 = 9;
/// Why it is no condition.
const UNSEEN: &str =
    "the kernel lets nobody see SIGKILL before it ends the process; `exit` is met at its end";

impl Parser<'_> {
    /// `CONDITION or CONDITION …`
    pub(super) fn when(&mut self) -> Parsed<Vec<Condition>> {
        let mut when = vec![self.condition()?];
        while self.eat("or") {
            when.push(self.condition()?);
        }
        Ok(when)
    }

    pub(super) fn condition(&mut self) -> Parsed<Condition> {
        if let Some(level) = self.level()? {
            return self.holds(level);
        }
        let event = self.event()?;
        match self.peek_word() {
            Some("and") => {
                Err(self.error("`and` joins levels, such as cpu or memory; this is an event"))
            }
            Some("for") => Err(self.error("`for` says how long a level lasts; this is an event")),
            _ => Ok(event),
        }
    }

    /// `LEVEL and LEVEL … for DURATION`, of which the first level is read already.
    fn holds(&mut self, first: Level) -> Parsed<Condition> {
        let mut all = vec![first];
        while self.eat("and") {
            let expected = "a level: cpu, core-cpu, memory, rss, rss+swap, virtual, threads, handles, \
                            counter, hang or http";
            all.push(self.level()?.ok_or_else(|| self.expected(expected))?);
        }
        let lasting = match self.eat("for") {
            true => self.duration()?,
            false => Duration::ZERO,
        };
        if self.peek_word() == Some("and") {
            return Err(self.error("`for` comes last and holds for all that `and` joins"));
        }
        Ok(Condition::Holds { all, lasting })
    }

    /// A level; `None` if the next tokens are something else.
    fn level(&mut self) -> Parsed<Option<Level>> {
        let Some(word) = self.peek_word() else {
            return Ok(None);
        };
        let same = |known: &&(&str, Gauge)| known.0.eq_ignore_ascii_case(word);
        if let Some((_, gauge)) = Gauge::WORDS.iter().find(same) {
            self.advance();
            return self.compare(gauge.clone()).map(Some);
        }
        if self.eat("counter") {
            let path = self.quoted("the counter's name")?;
            return self.compare(Gauge::Counter(path)).map(Some);
        }
        if self.eat("hang") {
            return Ok(Some(Level::Hang));
        }
        match self.eat("http") {
            true => self.http().map(Some),
            false => Ok(None),
        }
    }

    fn http(&mut self) -> Parsed<Level> {
        let url = self.address()?;
        self.expect("slower")?;
        self.expect("than")?;
        let slower_than = self.duration()?;
        Ok(Level::Http { url, slower_than })
    }

    /// Reads the address of a page. One that cannot be asked would count as a page that does not answer, and be met at
    /// once.
    fn address(&mut self) -> Parsed<String> {
        let wrong = self.error(
            "an address is such as \"http://127.0.0.1:8080/health\"; HTTPS is not supported",
        );
        let url = self.quoted("an address")?;
        let host = url
            .strip_prefix("http://")
            .and_then(|rest| rest.split(['/', '?', '#']).next());
        match host.is_some_and(|host| !host.is_empty()) {
            true => Ok(url),
            false => Err(wrong),
        }
    }

    fn compare(&mut self, gauge: Gauge) -> Parsed<Level> {
        let signs = Comparison::ALL;
        let comparison = signs.into_iter().find(|c| self.eat_sign(c.sign()));
        let comparison = comparison.ok_or_else(|| self.expected(">=, >, <= or <"))?;
        let never = self.error(
            "cpu is never there: all processors together have 100 %, and core-cpu counts in one processor",
        );
        let (gauge, threshold) = self.threshold(gauge)?;
        let holds = |value| comparison.holds(value, threshold);
        if gauge == Gauge::Cpu && !holds(0.0) && !holds(100.0) {
            return Err(never);
        }
        Ok(Level::Compare {
            gauge,
            comparison,
            threshold,
        })
    }

    /// `85%`, `2GiB`, `90% of limit`; the last is another gauge.
    fn threshold(&mut self, gauge: Gauge) -> Parsed<(Gauge, f64)> {
        let of = |word: &str| word.eq_ignore_ascii_case("of");
        let is_part = matches!(self.peek_second(), TokenKind::Word(word) if of(word));
        let unit = if is_part { Unit::Percent } else { gauge.unit() };
        let value = self.value(example(unit), |word| threshold(unit, word))?;
        if !is_part {
            return Ok((gauge, value));
        }
        let of_limit = gauge.of_limit();
        let gauge = of_limit.ok_or_else(|| self.error("`of limit` goes with cpu and memory"))?;
        self.expect("of")?;
        self.expect("limit")?;
        Ok((gauge, value))
    }

    fn event(&mut self) -> Parsed<Condition> {
        let Some(word) = self.peek_word() else {
            return Err(self.expected(BEGINNINGS));
        };
        let word = word.to_ascii_lowercase();
        let read = match &word[..] {
            "unhandled" => Self::unhandled,
            "exception" => Self::any_exception,
            "signal" => Self::signal,
            "breakpoint" => Self::breakpoint,
            "module" => Self::module,
            "thread" => Self::thread,
            "debug" => Self::debug_string,
            "exit" => |_: &mut Self| Ok(Condition::Exit),
            "now" => |_: &mut Self| Ok(Condition::Now),
            "every" => Self::every,
            _ => return Err(self.expected(BEGINNINGS)),
        };
        self.advance();
        read(self)
    }

    fn every(&mut self) -> Parsed<Condition> {
        let here = self.error("`every 0s` would dump without end: give a time, such as 10m");
        match self.duration()? {
            Duration::ZERO => Err(here),
            period => Ok(Condition::Every(period)),
        }
    }

    fn unhandled(&mut self) -> Parsed<Condition> {
        self.expect("exception")?;
        self.exception(Chance::Unhandled)
    }

    fn any_exception(&mut self) -> Parsed<Condition> {
        self.exception(Chance::Any)
    }

    fn exception(&mut self, chance: Chance) -> Parsed<Condition> {
        let (include, exclude) = self.choice(Self::exception_match)?;
        let first = chance == Chance::Any && self.eat("first");
        if first {
            self.expect("chance")?;
        }
        let chance = if first { Chance::First } else { chance };
        Ok(Condition::Exception(ExceptionFilter {
            chance,
            include,
            exclude,
        }))
    }

    /// What an exception is recognised by; `None` if the next tokens are something else.
    fn exception_match(&mut self) -> Parsed<Option<Match>> {
        if self.eat_sign("=") {
            return Ok(Some(Match::Name(self.quoted("the exception's name")?)));
        }
        if self.eat("code") {
            let code = |word: &str| {
                let digits = word.strip_prefix("0x").or(word.strip_prefix("0X"));
                let code = digits.and_then(|d| u32::from_str_radix(d, 16).ok());
                code.ok_or_else(|| format!("`{word}` is no code, such as 0xC0000005"))
            };
            return Ok(Some(Match::Code(
                self.value("a code, such as 0xC0000005", code)?,
            )));
        }
        Ok(self.pattern()?.map(Match::Text))
    }

    fn pattern(&mut self) -> Parsed<Option<Pattern>> {
        match self.peek() {
            TokenKind::Text(_) => Ok(Some(Pattern::new(self.quoted("a filter")?))),
            TokenKind::Word(word)
                if !BEHIND_FILTERS.iter().any(|w| w.eq_ignore_ascii_case(word)) =>
            {
                Err(self.error(format!("a text to look for is in quotes: \"{word}\"")))
            }
            _ => Ok(None),
        }
    }

    /// `A, B not C, D`, all of it optional.
    fn choice<T>(
        &mut self,
        mut one: impl FnMut(&mut Self) -> Parsed<Option<T>>,
    ) -> Parsed<(Vec<T>, Vec<T>)> {
        let include = self.list(&mut one)?;
        if !self.eat("not") {
            return Ok((include, Vec::new()));
        }
        let exclude = self.list(&mut one)?;
        match exclude.is_empty() {
            true => Err(self.expected("a filter in quotes")),
            false => Ok((include, exclude)),
        }
    }

    fn list<T>(&mut self, one: &mut impl FnMut(&mut Self) -> Parsed<Option<T>>) -> Parsed<Vec<T>> {
        let mut items: Vec<T> = one(self)?.into_iter().collect();
        while !items.is_empty() && self.another_follows() {
            self.advance();
            let item = one(self)?;
            items.push(item.ok_or_else(|| self.expected("another filter"))?);
        }
        Ok(items)
    }

    /// Whether the comma that is next continues the list; in a rule it may also end the condition.
    fn another_follows(&self) -> bool {
        let comma = matches!(self.peek(), TokenKind::Sign(","));
        let more = match self.peek_second() {
            TokenKind::Text(_) | TokenKind::Sign("=") => true,
            TokenKind::Word(word) => word.eq_ignore_ascii_case("code"),
            _ => false,
        };
        comma && more
    }

    fn filter(&mut self) -> Parsed<Filter> {
        let (include, exclude) = self.choice(Self::pattern)?;
        Ok(Filter { include, exclude })
    }

    fn signal(&mut self) -> Parsed<Condition> {
        let number = self.value(
            "a signal, such as SIGUSR1",
            |word| match snapshot::signal_number(word) {
                Some(SIGKILL) => Err(UNSEEN.to_owned()),
                Some(number) => Ok(number),
                None => Err(format!("`{word}` is no signal of Linux")),
            },
        );
        number.map(Condition::Signal)
    }

    fn breakpoint(&mut self) -> Parsed<Condition> {
        const PLACES: &str = "a place: module!symbol, module!symbol+0x10, 0xADDRESS or exit";
        let here = self.error(format!("expected {PLACES}"));
        let text = self.word_or_quoted(PLACES)?;
        place(&text).map(Condition::Breakpoint).ok_or(here)
    }

    fn module(&mut self) -> Parsed<Condition> {
        if self.eat("load") {
            return self.filter().map(Condition::ModuleLoad);
        }
        match self.eat("unload") {
            true => self.filter().map(Condition::ModuleUnload),
            false => Err(self.expected("`load` or `unload`")),
        }
    }

    fn thread(&mut self) -> Parsed<Condition> {
        if self.eat("start") {
            return Ok(Condition::ThreadStart);
        }
        self.eat("exit")
            .then_some(Condition::ThreadExit)
            .ok_or_else(|| self.expected("`start` or `exit`"))
    }

    fn debug_string(&mut self) -> Parsed<Condition> {
        self.expect("string")?;
        self.filter().map(Condition::DebugString)
    }
}

/// The words that can follow where filters may stand; any other one is a filter without its quotes.
const BEHIND_FILTERS: [&str; 5] = ["not", "first", "and", "or", "for"];

const fn example(unit: Unit) -> &'static str {
    match unit {
        Unit::Percent => "a percentage, such as 85%",
        Unit::Bytes => "a size, such as 2GiB",
        Unit::Count => "a whole number",
        Unit::Number => "a number",
    }
}

fn threshold(unit: Unit, word: &str) -> Result<f64, String> {
    let wrong = || format!("expected {}, not `{word}`", example(unit));
    let percentage = word.strip_suffix('%');
    match unit {
        Unit::Percent => plain_number(percentage.unwrap_or(word)).filter(|n| *n >= 0.0),
        Unit::Bytes if percentage.is_some() => {
            return Err(format!(
                "`{word}` is no size, such as 2GiB; of the limit of the control group it is `{word} of limit`"
            ));
        }
        Unit::Bytes => return parse_size(word).map(|bytes| bytes as f64),
        Unit::Count => word.parse::<u32>().ok().map(f64::from),
        Unit::Number => match parse_size(word) {
            Ok(bytes) => Some(bytes as f64),
            Err(_) => plain_number(percentage.unwrap_or(word)),
        },
    }
    .ok_or_else(wrong)
}

/// A number in digits, with at most a sign and a point; without exponent, and not `inf`.
fn plain_number(word: &str) -> Option<f64> {
    let digits = word.strip_prefix('-').unwrap_or(word);
    let (number, rest) = split_number(digits);
    let plain = rest.is_empty() && !number.is_empty();
    word.parse::<f64>().ok().filter(|n| plain && n.is_finite())
}

fn place(text: &str) -> Option<Place> {
    if text.eq_ignore_ascii_case("exit") {
        return Some(Place::Exit);
    }
    if let Some(digits) = text.strip_prefix("0x") {
        return u64::from_str_radix(digits, 16).ok().map(Place::Address);
    }
    let (module, rest) = text.split_once('!')?;
    let offset = rest
        .rsplit_once("+0x")
        .and_then(|(symbol, digits)| Some((symbol, u64::from_str_radix(digits, 16).ok()?)));
    let (symbol, offset) = offset.unwrap_or((rest, 0));
    let (module, symbol) = (module.to_owned(), symbol.to_owned());
    (!module.is_empty() && !symbol.is_empty()).then_some(Place::Symbol {
        module,
        symbol,
        offset,
    })
}
