//! A PostgreSQL server.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use super::{Child, files_in, judge, wait_until};

/// A server that only listens on a socket file.
pub(crate) struct Postgres {
    pub(crate) server: Child,
    pub(crate) folder: tempfile::TempDir,
}

impl Postgres {
    /// Starts one with these settings (`shared_buffers=1GB`).
    pub(crate) fn start(settings: &[&str]) -> Postgres {
        let folder = tempfile::Builder::new().prefix("postgres").tempdir();
        let folder = folder.expect("a folder that every user can reach");
        let data = folder.path().join("data");
        let owner = Postgres::give_away(folder.path());
        let mut initdb = Postgres::program("initdb", &owner);
        let output = initdb
            .arg("-D")
            .arg(&data)
            .args(["-A", "trust", "-U", "stranger", "-N"]);
        let output = output.output().expect("initdb");
        assert!(output.status.success(), "{output:?}");
        let mut server = Postgres::program("postgres", &owner);
        server.arg("-D").arg(&data).arg("-k").arg(folder.path());
        for setting in ["listen_addresses=", "logging_collector=off"]
            .iter()
            .chain(settings)
        {
            server.args(["-c", setting]);
        }
        let server = Child::start(server.stderr(std::process::Stdio::null()));
        // The socket exists before the server accepts sessions.
        let state = data.join("postmaster.pid");
        let says = |word| std::fs::read_to_string(&state).is_ok_and(|text| text.contains(word));
        wait_until("postgres lets sessions in", || says("ready"));
        Postgres { server, folder }
    }

    /// A program of a client, which connects to it.
    pub(crate) fn client(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .args(["-U", "stranger", "-h"])
            .arg(self.folder.path());
        command
    }

    /// The server refuses to run as root; the folder then belongs to `postgres`.
    fn give_away(folder: &Path) -> Vec<String> {
        // SAFETY: geteuid has no preconditions.
        if unsafe { libc::geteuid() } != 0 {
            return Vec::new();
        }
        let chown = Command::new("chown").arg("postgres:").arg(folder).status();
        assert!(chown.expect("chown").success(), "there is no user postgres");
        let words = "setpriv --reuid=postgres --regid=postgres --clear-groups";
        words.split(' ').map(str::to_owned).collect()
    }

    /// A program of the newest server that is installed, run as that owner.
    fn program(name: &str, owner: &[String]) -> Command {
        judge("pg_ctlcluster", "postgresql");
        let versions = files_in(Path::new("/usr/lib/postgresql"));
        let newest = versions.last().expect("a version of postgres");
        let words = owner.iter().map(PathBuf::from);
        let mut words = words.chain([newest.join("bin").join(name)]);
        let mut command = Command::new(words.next().expect("the program itself"));
        command.args(words).current_dir("/");
        command
    }
}

/// The server is asked to end: if it were killed, it would leave its shared memory behind.
impl Drop for Postgres {
    fn drop(&mut self) {
        self.server.signal(libc::SIGINT);
        self.server.wait();
    }
}
