//! Rules for crashes of the whole machine, where a process is known only once it has crashed: which rule
//! is about the process, and what that rule does.

use crate::{Command, DumpRequest, Event, Identity, Rule, RuleSet, Settings, Target};
use snapshot::{Exception, TargetEvent, Time};

/// The index of the first of `targets` that matches the process `who`. Returns `None` if none does.
pub fn first_about<'t>(
    targets: impl IntoIterator<Item = &'t Target>,
    who: &Identity,
) -> Option<usize> {
    targets.into_iter().position(|target| target.matches(who))
}

/// The dump that `rule` asks for when the process `who` crashes with `exception`. Returns `None` if the
/// rule is not about that process or exception, or if its action is no dump.
///
/// The engine that decides for a watch decides here too, from the same two events: the process is found,
/// then the exception comes.
pub fn at_crash(rule: &Rule, who: &Identity, exception: Exception) -> Option<DumpRequest> {
    let now = Time::default();
    let mut rules = RuleSet::new(Settings::new(1));
    rules.add(now, rule.clone());
    rules.handle(now, Event::Found(who.clone()));
    let crash = Event::Target(who.key, TargetEvent::Exception(exception));
    let dump = |command| match command {
        Command::Dump(request) => Some(request),
        _ => None,
    };
    rules.handle(now, crash).into_iter().find_map(dump)
}

#[cfg(test)]
mod tests {
    use super::*;
    use snapshot::DumpKind;

    fn named(name: &str) -> Identity {
        Identity {
            name: name.to_owned(),
            image: format!("/usr/bin/{name}"),
            ..Identity::default()
        }
    }

    fn dies_of(signal: u32, name: &str) -> Exception {
        Exception {
            code: signal,
            name: name.to_owned(),
            thread: 71,
            first_chance: false,
            ..Exception::default()
        }
    }

    fn rules(sentences: &[&str]) -> Vec<Rule> {
        sentences.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn the_first_target_that_means_a_process_is_the_one() {
        let targets = ["image:/usr/bin/nginx", "nginx", "cmdline:\"*\""];
        let targets = targets.map(|text| text.parse::<Target>().unwrap());
        let about = |who: &Identity| first_about(&targets, who);
        let elsewhere = Identity {
            image: "/opt/nginx".to_owned(),
            ..named("nginx")
        };
        assert_eq!(about(&named("nginx")), Some(0));
        assert_eq!(about(&elsewhere), Some(1));
        assert_eq!(about(&named("other")), Some(2));
        assert_eq!(about(&Identity::default()), Some(2), "an unknown process");
        assert_eq!(first_about(&targets[..2], &named("other")), None);
    }

    #[test]
    fn a_crash_is_dumped_as_the_rule_says() {
        let rule = "on each a, when unhandled exception not code 0x3, do plus dump";
        let rule = &rules(&[rule])[0];
        let asked = at_crash(rule, &named("a"), dies_of(11, "SIGSEGV.SEGV_MAPERR")).unwrap();
        assert_eq!(asked.kinds, [DumpKind::Plus]);
        assert_eq!(
            asked.trigger.to_string(),
            "Unhandled exception: SIGSEGV.SEGV_MAPERR"
        );
        assert_eq!((asked.number, asked.trigger.thread()), (1, Some(71)));
        assert_eq!(at_crash(rule, &named("a"), dies_of(3, "SIGQUIT")), None);
        assert_eq!(at_crash(rule, &named("b"), dies_of(11, "SIGSEGV")), None);
        let none = &rules(&["on each a, when unhandled exception, do none"])[0];
        assert_eq!(at_crash(none, &named("a"), dies_of(11, "SIGSEGV")), None);
    }
}
