//! An ASP.NET Core service whose clients are measured. It is compiled here, without a project: with the SDK's compiler or
//! another one, against the runtime's own assemblies.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use super::{
    dump::Folder,
    latency_client::HTTP,
    latency_servers::{Server, Serves, prints_its_port, source},
    measure::succeed,
};

/// What the program needs to run (.NET's documentation, "runtimeconfig.json"). The server's collector is the default of
/// ASP.NET Core.
const SETTINGS: &str = r#"{ "runtimeOptions": {
    "frameworks": [
        { "name": "Microsoft.NETCore.App", "version": "VERSION" },
        { "name": "Microsoft.AspNetCore.App", "version": "VERSION" }
    ],
    "configProperties": { "System.GC.Server": true, "System.Globalization.Invariant": true }
} }"#;

pub(super) const SERVER: Server = Server {
    name: "ASP.NET Core, 1 GiB",
    start,
};

/// Succeeds if this machine can compile and run it.
///
/// # Errors
/// That there is no .NET, and where it is looked for.
pub(super) fn is_there() -> Result<()> {
    DotNet::find().map(drop)
}

/// Compiles and starts it.
fn start() -> Result<Serves> {
    let folder = Folder::temporary("dotnet")?;
    let dotnet = DotNet::find()?;
    let program = dotnet.compile(&folder.0)?;
    let mut serves = prints_its_port(&mut dotnet.command(&program), HTTP)?;
    serves.folder = Some(folder);
    Ok(serves)
}

struct DotNet {
    root: PathBuf,
    compiler: PathBuf,
    version: String,
}

impl DotNet {
    fn find() -> Result<DotNet> {
        let root =
            std::env::var_os("DOTNET_ROOT").context("DOTNET_ROOT names no folder of .NET")?;
        let root = PathBuf::from(root);
        let compiler = match std::env::var_os("CSC") {
            Some(compiler) => compiler.into(),
            None => newest(&root.join("sdk"))
                .context("there is no SDK in DOTNET_ROOT, and CSC names no csc.dll")?
                .join("Roslyn/bincore/csc.dll"),
        };
        let web = newest(&root.join("shared/Microsoft.AspNetCore.App"))
            .context("there is no ASP.NET Core in DOTNET_ROOT")?;
        let version = web.file_name().context("a version")?;
        Ok(DotNet {
            version: version.to_string_lossy().into_owned(),
            root,
            compiler,
        })
    }

    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(self.root.join("dotnet"));
        command.env("DOTNET_SYSTEM_GLOBALIZATION_INVARIANT", "1");
        command.arg(program);
        command
    }

    fn compile(&self, folder: &Path) -> Result<PathBuf> {
        let program = folder.join("latency.dll");
        let mut csc = self.command(&self.compiler);
        csc.args(["-nologo", "-noconfig", "-nostdlib", "-optimize+"]);
        csc.arg(format!("-out:{}", program.display()));
        for framework in ["Microsoft.NETCore.App", "Microsoft.AspNetCore.App"] {
            let folder = self.root.join("shared").join(framework).join(&self.version);
            csc.args(libraries(&folder)?.map(|file| format!("-r:{}", file.display())));
        }
        succeed(csc.arg(source("Latency.cs")))?;
        let settings = SETTINGS.replace("VERSION", &self.version);
        std::fs::write(folder.join("latency.runtimeconfig.json"), settings)?;
        Ok(program)
    }
}

fn libraries(folder: &Path) -> Result<impl Iterator<Item = PathBuf>> {
    let files = std::fs::read_dir(folder)?.flatten().map(|file| file.path());
    Ok(files.filter(|file| file.extension().is_some_and(|end| end == "dll")))
}

/// The folder of the newest version.
fn newest(folder: &Path) -> Option<PathBuf> {
    let versions = std::fs::read_dir(folder).ok()?.flatten();
    versions.map(|version| version.path()).max()
}
