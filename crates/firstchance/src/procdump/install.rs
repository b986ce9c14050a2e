//! Reads the options for handling crashes: `-i`, which installs the handler, and `-j`, with which Windows calls
//! it.

use super::{
    Dialect, Install, PostMortem, UsageError,
    lower::{Lowering, Result},
    numbers::parsed,
    switches::{Group, Id, get},
};
use policy::{Action, Clause, Follow, Pattern, Rule, Target};
use snapshot::DumpKind;

impl Lowering<'_> {
    /// The options of `-i`. Fails with a sentence for the user if there is a switch that `-i` cannot have.
    pub(super) fn install(&self) -> Result<Install> {
        let allowed = |id: &Id| {
            let others = [
                Id::Install,
                Id::Compress,
                Id::Clone,
                Id::AvoidOutage,
                Id::Timeout,
                Id::Kill,
                Id::Wer,
                Id::Eula,
                Id::Linux,
                Id::ExitCodes,
                Id::Wide,
            ];
            get(*id).group == Group::Kind || others.contains(id)
        };
        if let Some(id) = self.arguments.ids().into_iter().find(|id| !allowed(id)) {
            let name = get(id).name;
            let message = format!("-{name} is not possible with -i, which dumps every crash");
            return Err(UsageError(message));
        }
        let folder = match &self.arguments.words[..] {
            [] => None,
            [folder] => Some(folder.clone()),
            [_, word, ..] => {
                let message = format!("`{word}` is one argument too many: -i takes one folder");
                return Err(UsageError(message));
            }
        };
        let action: Action = self.kinds(self.default_of_crashes())?.into_iter().collect();
        let kinds = action.kinds().to_vec();
        let crash = "unhandled exception".parse().map_err(|_| unreadable())?;
        let every_process = Target::CommandLine(Pattern::new("*"));
        let mut rule = Rule::new(every_process, vec![Clause::new(vec![crash], action)]);
        rule.follow = Follow::Each;
        rule.folder = folder.clone();
        rule.compress = self.compression()?;
        Ok(Install {
            rule,
            kinds,
            folder,
            timeout: self.timeout()?,
            kill_after: self.arguments.has(Id::Kill),
            windows: self.windows_switches(),
        })
    }

    /// The kind of dump of a crash if none is asked for.
    fn default_of_crashes(&self) -> DumpKind {
        match self.dialect {
            Dialect::Windows => DumpKind::Mini,
            Dialect::Linux => DumpKind::Full,
        }
    }

    /// The values that Windows gives to its handler of crashes (`-j`). Fails if they cannot be read.
    pub(super) fn post_mortem(&self) -> Result<PostMortem> {
        let Some([folder, pid, event, address]) = self.arguments.values(Id::PostMortem) else {
            return Err(unreadable());
        };
        let digits = address.trim_start_matches("0x");
        let information = u64::from_str_radix(digits, 16).map_err(|_| unreadable())?;
        let action: Action = self.kinds(self.default_of_crashes())?.into_iter().collect();
        Ok(PostMortem {
            kinds: action.kinds().to_vec(),
            folder: folder.clone(),
            pid: parsed(Id::PostMortem, pid, "a pid")?,
            event: parsed(Id::PostMortem, event, "a handle")?,
            information,
            compress: self.compression()?,
            timeout: self.timeout()?,
            kill_after: self.arguments.has(Id::Kill),
            windows: self.windows_switches(),
        })
    }
}

fn unreadable() -> UsageError {
    UsageError(
        "-j is for Windows only, which calls its handler of crashes with FOLDER PID EVENT ADDRESS"
            .to_owned(),
    )
}
