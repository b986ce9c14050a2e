//! Which processes a rule is about, and what a process is recognised by.

use crate::Pattern;
use snapshot::{OperatingSystem, ProcessKey, program_of, same_name};

/// The processes that a rule is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// `NAME`: the name of the process or of its program, with or without `.exe`. Case is ignored where the system of the
    /// process ignores it, on Windows; also in names of services.
    Name(String),
    /// `PID`: the process that has this pid now.
    Pid(u32),
    /// `service:NAME`: a systemd unit (with or without `.service`) or a Windows service.
    Service(String),
    /// `user-service:NAME`: a unit of a user's own systemd. Its name is the user's choice, so `service:` never means
    /// one.
    UserService(String),
    /// `pool:NAME`: an IIS application pool.
    Pool(String),
    /// `container:ID`: a container whose id begins with this.
    Container(String),
    /// `cmdline:"PATTERN"`: the whole command line, with the arguments joined by blanks, matches this
    /// pattern.
    CommandLine(Pattern),
    /// `image:PATH`: the program file that the process runs. A Linux path is compared exactly, a
    /// Windows path without regard to case.
    Image(String),
    /// `group:PGID`: every process of a process group (Linux).
    Group(u32),
    /// `launch:PROGRAM`: the process that firstchance itself starts.
    Launch(String),
}

impl Target {
    /// Whether the target can match one process at most.
    pub fn is_single(&self) -> bool {
        matches!(self, Target::Pid(_) | Target::Launch(_))
    }

    /// Whether the target matches the process `who`.
    pub fn matches(&self, who: &Identity) -> bool {
        match self {
            Target::Name(name) => who.has_name(name),
            Target::Pid(pid) => who.key.pid == *pid,
            Target::Service(name) => who.is_of_unit(who.service.as_deref(), name),
            Target::UserService(name) => who.is_of_unit(who.user_service.as_deref(), name),
            Target::Pool(pool) => who.pool().is_some_and(|p| same_name(p, pool)),
            Target::Container(id) => who.container.as_deref().is_some_and(|c| c.starts_with(id)),
            Target::CommandLine(pattern) => is_command_line(pattern, &who.command_line.join(" ")),
            Target::Image(path) => is_same_path(&who.image, path),
            Target::Group(group) => who.group == *group,
            Target::Launch(_) => who.launched,
        }
    }

    /// Whether the target would match the process `who` if case were ignored in names, and does not.
    pub fn matches_in_another_case(&self, who: &Identity) -> bool {
        let ignoring = Identity {
            system: OperatingSystem::Windows,
            ..who.clone()
        };
        !self.matches(who) && self.matches(&ignoring)
    }

    /// Why the target does not match the process `who`, as the end of a sentence for the debug log: `it is
    /// called bash`. Returns `None` if it does match.
    pub fn mismatch(&self, who: &Identity) -> Option<String> {
        let or_none = |text: Option<&str>| text.unwrap_or("none").to_owned();
        let fact = match self {
            _ if self.matches(who) => return None,
            Target::Name(_) => format!("it is called {}", who.names().join(", ")),
            Target::Pid(_) => format!("its pid is {}", who.key.pid),
            Target::Service(_) => format!("its service is {}", or_none(who.service.as_deref())),
            Target::UserService(_) => {
                format!(
                    "its user's service is {}",
                    or_none(who.user_service.as_deref())
                )
            }
            Target::Pool(_) => format!("its pool is {}", or_none(who.pool())),
            Target::Container(_) => {
                format!("its container is {}", or_none(who.container.as_deref()))
            }
            Target::CommandLine(_) => format!("its command line is {}", who.command_line.join(" ")),
            Target::Image(_) => format!("its program is {}", who.image),
            Target::Group(_) => format!("its process group is {}", who.group),
            Target::Launch(_) => "firstchance did not start it".to_owned(),
        };
        Some(fact)
    }
}

/// Whether a pattern means a command line. That of whoever starts firstchance to look for it, as a shell or `timeout`, has all
/// of the pattern in it, and is not meant.
fn is_command_line(pattern: &Pattern, line: &str) -> bool {
    const LOOKS_FOR_ONE: &str = "cmdline:";
    pattern.is_all_of(line) && !line.contains(LOOKS_FOR_ONE)
}

/// What a process is recognised by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// Its pid and start time.
    pub key: ProcessKey,
    /// The pid of its parent.
    pub parent: u32,
    /// Who has forked it, who has forked that one, and so on, as far as that is known: also when they have ended.
    pub ancestors: Vec<u32>,
    /// The number of its process group; 0 on Windows.
    pub group: u32,
    /// The name it was started under, or else the file name of its program.
    pub name: String,
    /// The path of its program file.
    pub image: String,
    /// The name that the kernel keeps (`comm`, at most 15 bytes), if it is another one: a script has its
    /// own.
    pub comm: String,
    /// Its arguments, the program's own name first.
    pub command_line: Vec<String>,
    /// The service that it belongs to, if any.
    pub service: Option<String>,
    /// The unit of a user's own systemd that it belongs to, if any.
    pub user_service: Option<String>,
    /// The id of the container that it runs in, if any.
    pub container: Option<String>,
    /// Whether firstchance itself started it (`launch:`).
    pub launched: bool,
    /// The system that it runs on, which says whether case counts in its names.
    pub system: OperatingSystem,
}

impl Identity {
    fn has_name(&self, wanted: &str) -> bool {
        let mut names = self.names().into_iter();
        names.any(|name| self.is_same(bare(name), bare(wanted)))
    }

    fn is_of_unit(&self, unit: Option<&str>, wanted: &str) -> bool {
        let short = |name| str::strip_suffix(name, ".service").unwrap_or(name);
        unit.is_some_and(|unit| self.is_same(short(unit), short(wanted)))
    }

    fn is_same(&self, name: &str, wanted: &str) -> bool {
        match self.system {
            OperatingSystem::Linux | OperatingSystem::Foreign(_) => name == wanted,
            OperatingSystem::Windows => same_name(name, wanted),
        }
    }

    /// All names that the process can be called by, each once.
    fn names(&self) -> Vec<&str> {
        let first = self.command_line.first().map_or("", String::as_str);
        // On Windows, a path with blanks may be the first word.
        let called = match self.system {
            OperatingSystem::Linux => program_of(first),
            OperatingSystem::Windows | OperatingSystem::Foreign(_) => "",
        };
        let others = [&self.comm[..], base(first), base(&self.image), called];
        let mut names: Vec<&str> = Vec::new();
        for name in [&self.name[..]].into_iter().chain(others) {
            if !name.is_empty() && !names.contains(&name) {
                names.push(name);
            }
        }
        names
    }

    /// The IIS application pool that the process works for. IIS starts each worker as
    /// `w3wp.exe -ap "POOL" …`. Returns `None` if the process is no such worker.
    pub fn pool(&self) -> Option<&str> {
        let at = self.command_line.iter().position(|a| a == "-ap")?;
        let worker = bare(&self.name).eq_ignore_ascii_case("w3wp");
        self.command_line
            .get(at + 1)
            .filter(|_| worker)
            .map(|p| p.trim_matches('"'))
    }
}

fn is_same_path(image: &str, wanted: &str) -> bool {
    match wanted.starts_with('/') {
        true => image == wanted,
        false => same_name(image, wanted),
    }
}

/// The last part of a path.
fn base(path: &str) -> &str {
    path.rsplit(['/', '\\']).next().unwrap_or(path)
}

/// A name without `.exe` at its end.
fn bare(name: &str) -> &str {
    let stem = name.len().saturating_sub(4);
    match name.get(stem..) {
        Some(end) if end.eq_ignore_ascii_case(".exe") => &name[..stem],
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn worker() -> Identity {
        Identity {
            key: ProcessKey { pid: 7, start: 1 },
            group: 70,
            name: "w3wp.exe".to_owned(),
            command_line: vec![
                r"c:\windows\W3WP.EXE".into(),
                "-ap".into(),
                "\"Shop\"".into(),
            ],
            service: Some("w3svc.service".to_owned()),
            container: Some("0123456789abcdef".to_owned()),
            system: OperatingSystem::Windows,
            ..Identity::default()
        }
    }

    #[test]
    fn a_program_of_several_names_answers_to_each() {
        let redis = Identity {
            name: "redis-server".to_owned(),
            image: "/usr/bin/redis-check-rdb".to_owned(),
            ..Identity::default()
        };
        assert!(redis.has_name("redis-server") && redis.has_name("redis-check-rdb"));
        assert!(!redis.has_name("redis") && !redis.has_name(""));
    }

    /// As ProcDump for Linux names it.
    #[test]
    fn n45_a_program_answers_to_the_first_word_of_what_it_writes_over_its_arguments() {
        let of = |system, first: &str| Identity {
            name: "server".to_owned(),
            command_line: vec![first.to_owned()],
            system,
            ..Identity::default()
        };
        let linux = |first| of(OperatingSystem::Linux, first);
        assert!(linux("postgres: checkpointer ").has_name("postgres:"));
        assert!(linux("/opt/my app/redis *:6379").has_name("redis"));
        assert!(!linux("postgres: checkpointer ").has_name("postgres"));
        assert!(linux("sudo").has_name("sudo") && !linux("sudo").has_name(""));
        assert!(!of(OperatingSystem::Windows, r"C:\My App.exe").has_name("My"));
    }

    #[test]
    fn a_target_means_the_processes_it_says() {
        let yes = [
            "w3wp",
            "W3WP.exe",
            "7",
            "service:W3SVC",
            "pool:shop",
            "container:01234",
            "cmdline:\"*w3wp* -ap *shop*\"",
            "group:70",
        ];
        let no = [
            "w3w",
            "3",
            "service:w3",
            "pool:Shop2",
            "container:1234",
            "cmdline:w3wp",
            "group:7",
            "launch:w3wp.exe",
        ];
        for (text, expected) in yes
            .map(|t| (t, true))
            .into_iter()
            .chain(no.map(|t| (t, false)))
        {
            let target: Target = text.parse().unwrap();
            assert_eq!(target.matches(&worker()), expected, "{text}");
        }
    }

    #[test]
    fn n43_who_starts_firstchance_to_look_for_a_command_line_is_not_meant() {
        let target: Target = "cmdline:\"*server.py*\"".parse().unwrap();
        let of = |words: &[&str]| Identity {
            command_line: words.iter().map(|word| (*word).to_owned()).collect(),
            ..Identity::default()
        };
        assert!(target.matches(&of(&["python3", "server.py"])));
        for words in [
            &["timeout", "5", "firstchance", "dump", "cmdline:*server.py*"][..],
            &["sh", "-c", "firstchance dump 'cmdline:*server.py*'"],
        ] {
            assert!(!target.matches(&of(words)), "{words:?}");
        }
    }

    #[test]
    fn n45_case_counts_in_names_on_linux_and_not_on_windows() {
        let on = |system| Identity {
            name: "Worker".to_owned(),
            service: Some("Shop.service".to_owned()),
            system,
            ..Identity::default()
        };
        let (linux, windows) = (on(OperatingSystem::Linux), on(OperatingSystem::Windows));
        for (text, exact) in [
            ("Worker", true),
            ("worker", false),
            ("service:Shop", true),
            ("service:shop", false),
        ] {
            let target: Target = text.parse().unwrap();
            assert_eq!(target.matches(&linux), exact, "{text}");
            assert_eq!(target.matches_in_another_case(&linux), !exact, "{text}");
            assert!(target.matches(&windows), "{text}");
        }
        let other: Target = "other".parse().unwrap();
        assert!(!other.matches_in_another_case(&linux));
    }

    #[test]
    fn a_mismatch_says_what_the_process_is_instead() {
        let why = |target: &str| target.parse::<Target>().unwrap().mismatch(&worker());
        assert_eq!(why("w3wp"), None);
        for (target, expected) in [
            ("nginx", "it is called w3wp.exe, W3WP.EXE"),
            ("8", "its pid is 7"),
            ("container:ab", "its container is 0123456789abcdef"),
            ("pool:x", "its pool is Shop"),
            ("launch:x", "firstchance did not start it"),
        ] {
            assert_eq!(why(target).as_deref(), Some(expected), "{target}");
        }
        let nobody: Target = "service:a".parse().unwrap();
        let why = nobody.mismatch(&Identity::default());
        assert_eq!(why.as_deref(), Some("its service is none"));
    }

    #[test]
    fn an_image_is_one_program_file() {
        let of = |image: &str| Identity {
            image: image.to_owned(),
            ..Identity::default()
        };
        let target: Target = "image:/usr/sbin/nginx".parse().unwrap();
        assert!(target.matches(&of("/usr/sbin/nginx")));
        assert!(!target.matches(&of("/usr/sbin/NGINX")) && !target.matches(&of("/tmp/nginx")));
        let target: Target = r"image:C:\app\shop.exe".parse().unwrap();
        assert!(target.matches(&of(r"c:\App\Shop.exe")));
    }

    #[test]
    fn a_script_is_known_by_the_name_the_kernel_keeps() {
        let script = Identity {
            name: "python3.11".to_owned(),
            comm: "worker.py".to_owned(),
            command_line: vec!["/usr/bin/python3".into(), "/opt/worker.py".into()],
            ..Identity::default()
        };
        for (name, expected) in [("worker.py", true), ("python3", true), ("worker", false)] {
            assert_eq!(
                Target::Name(name.into()).matches(&script),
                expected,
                "{name}"
            );
        }
        assert!(!Target::Name(".exe".into()).matches(&Identity::default()));
    }
}
