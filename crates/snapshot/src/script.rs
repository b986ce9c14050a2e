use crate::Process;

/// The options of interpreters that take their value as the next argument, and are not followed by the program.
const WITH_VALUE: [&str; 18] = [
    "-cp",
    "-classpath",
    "--class-path",
    "-p",
    "--module-path",
    "--add-modules",
    "--add-opens",
    "--add-exports",
    "--add-reads",
    "-W",
    "-X",
    "-r",
    "--require",
    "--import",
    "--loader",
    "-I",
    "-o",
    "-d",
];
/// The options behind which the program comes: a module of Python or Java, an archive of Java.
const BEFORE_PROGRAM: [&str; 3] = ["-m", "--module", "-jar"];
/// The options behind which comes code, so that there is no program with a name.
const BEFORE_CODE: [&str; 3] = ["-c", "-e", "--eval"];
/// How the names of interpreters begin; a version may follow.
const INTERPRETERS: [&str; 14] = [
    "python", "pypy", "node", "nodejs", "ruby", "perl", "php", "java", "dotnet", "bash", "dash",
    "sh", "zsh", "lua",
];

/// The name of the program that an interpreter runs: `worker.py` of `python3 -u /srv/worker.py --fast`, `app.jar`, a
/// main class. Returns `None` if the process is no interpreter, or runs no program that has a name.
pub fn script(process: &Process) -> Option<&str> {
    script_of(&process.name, &process.command_line)
}

/// As [`script`], of a process with this name and this command line.
pub fn script_of<'a>(name: &str, command_line: &'a [String]) -> Option<&'a str> {
    is_interpreter(name).then_some(())?;
    let mut arguments = command_line.iter().skip(1).map(String::as_str);
    loop {
        let argument = arguments.next()?;
        let is = |options: &[&str]| options.contains(&argument);
        if is(&BEFORE_PROGRAM) {
            return base_name(arguments.next()?);
        }
        if is(&BEFORE_CODE) {
            return None;
        }
        if is(&WITH_VALUE) {
            arguments.next();
        } else if !argument.starts_with('-') {
            return base_name(argument);
        }
    }
}

fn is_interpreter(name: &str) -> bool {
    let name = name.strip_suffix(".exe").unwrap_or(name);
    let name = name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.');
    INTERPRETERS.contains(&name)
}

fn base_name(path: &str) -> Option<&str> {
    let name = path.rsplit(['/', '\\']).next();
    name.filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn n58_the_program_of_an_interpreter_has_a_name() {
        let cases = [
            (
                "python3.11",
                "python3 -u /srv/worker.py --fast",
                Some("worker.py"),
            ),
            (
                "python3.11",
                "python3 -W ignore -m http.server 80",
                Some("http.server"),
            ),
            ("python3.11", "python3 -c print(1)", None),
            ("python3.11", "python3", None),
            (
                "java",
                "java -Xmx1g -cp /a:/b org.acme.Main x",
                Some("org.acme.Main"),
            ),
            ("java", "java -jar /opt/app.jar", Some("app.jar")),
            (
                "node",
                "node --require ./trace.js server.js",
                Some("server.js"),
            ),
            ("dotnet", "dotnet /srv/Web.dll", Some("Web.dll")),
            ("sh", "sh /etc/init.d/x start", Some("x")),
            ("nginx", "nginx: worker process", None),
        ];
        for (name, line, expected) in cases {
            let process = Process {
                name: name.to_owned(),
                command_line: line.split(' ').map(str::to_owned).collect(),
                ..Process::default()
            };
            assert_eq!(script(&process), expected, "{line}");
        }
    }
}
