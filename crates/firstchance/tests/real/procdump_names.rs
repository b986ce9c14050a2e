//! The names of dumps in the Linux dialect of ProcDump's command line.

use crate::procdump_linux::{linux, names_in};
use crate::support::{Victim, folder};

#[test]
fn n45_several_dumps_within_a_second_each_have_their_own_file() {
    let victim = Victim::start(&["idle"]);
    let ending = format!(".{}", victim.pid());
    // Also with -o, and from one command line to the next.
    let dumps = folder();
    for (line, count) in [("-n 3 -s 0", 3), ("", 4), ("-o -n 3 -s 0", 7), ("-o", 8)] {
        let command = linux(line).args(&[&victim.pid_text()]);
        command.arg(dumps.path()).run_well();
        let names = names_in(dumps.path());
        assert_eq!(names.len(), count, "{line}: {names:?}");
        assert!(
            names.iter().all(|name| name.ends_with(&ending)),
            "{names:?}"
        );
    }
}

#[test]
fn n45_a_program_that_x_starts_has_dumps_of_the_names_of_any_other() {
    for switches in ["-e -x", "-t -x"] {
        let dumps = folder();
        let run = linux(switches)
            .arg(dumps.path())
            .args(&["sh", "-c", "ulimit -c 0; kill -SEGV $$"])
            .run_well();
        let names = names_in(dumps.path());
        assert_eq!(names.len(), 1, "{run:#?}");
        let (stem, pid) = names[0].split_once('.').expect("a pid");
        assert!(
            stem.starts_with("sh_ex") && pid.parse::<u32>().is_ok(),
            "{names:?}"
        );
    }
}
