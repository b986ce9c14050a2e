//! A PostgreSQL server for benchmarks.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result};

use super::{
    dump::Folder,
    measure::succeed,
    target::{Running, free_port},
};
use crate::shell::Cmd;

/// A server with a folder of its own, under the user that its package has made: it refuses to run as root.
pub(super) struct PostgreSql {
    pub(super) running: Running,
    /// Its data and its socket.
    pub(super) folder: Folder,
    /// Its port on 127.0.0.1, which is in the name of its socket as well.
    pub(super) port: u16,
}

impl PostgreSql {
    /// Starts it with these settings, and waits until it answers.
    ///
    /// # Errors
    /// If it is not installed or does not start.
    pub(super) fn start(settings: &[&str]) -> Result<Self> {
        let folder = Folder::temporary("postgresql")?;
        Cmd::new("chown postgres").arg(&folder.0).read()?;
        let data = folder.0.join("data");
        let mut initdb = as_postgres(&program("initdb")?);
        succeed(initdb.arg("-D").arg(&data))?;
        let port = free_port()?;
        let mut server = as_postgres(&program("postgres")?);
        server.arg("-D").arg(&data).arg("-k").arg(&folder.0);
        server.args(["-h", "127.0.0.1", "-p", &port.to_string()]);
        server.args(settings.iter().flat_map(|setting| ["-c", setting]));
        server.stdout(Stdio::null()).stderr(Stdio::null());
        let server = PostgreSql {
            running: Running(server.spawn()?),
            folder,
            port,
        };
        server.wait()?;
        Ok(server)
    }

    /// A client program, told where the server is.
    ///
    /// # Errors
    /// If it is not installed.
    pub(super) fn client(&self, name: &str) -> Result<Command> {
        let mut client = as_postgres(&program(name)?);
        client.arg("-h").arg(&self.folder.0);
        client.args(["-p", &self.port.to_string()]);
        Ok(client)
    }

    /// Runs statements of SQL, each in a transaction of its own.
    ///
    /// # Errors
    /// If one fails.
    pub(super) fn execute(&self, statements: &[&str]) -> Result<()> {
        let mut psql = self.client("psql")?;
        psql.args(["-q", "-v", "ON_ERROR_STOP=1"]);
        psql.args(statements.iter().flat_map(|statement| ["-c", statement]));
        succeed(psql.arg("postgres"))
    }

    fn wait(&self) -> Result<()> {
        for _ in 0..100 {
            if self.client("pg_isready")?.arg("-q").status()?.success() {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        anyhow::bail!("PostgreSQL does not answer")
    }
}

/// A program of the newest PostgreSQL that is installed.
fn program(name: &str) -> Result<PathBuf> {
    let versions =
        std::fs::read_dir("/usr/lib/postgresql").context("PostgreSQL is not installed")?;
    let programs = versions
        .flatten()
        .map(|version| version.path().join("bin").join(name));
    programs
        .filter(|path| path.is_file())
        .max()
        .with_context(|| format!("there is no {name}"))
}

/// A command that runs as the user of PostgreSQL's package.
fn as_postgres(program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    command
        .args(["--reuid=postgres", "--regid=postgres", "--init-groups"])
        .arg(program);
    command.current_dir("/");
    command
}
