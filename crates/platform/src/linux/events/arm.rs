//! Arming a process: each thing that is wanted by the way that costs it least.

use super::{At, Events, STOPPING};
use crate::{
    ArmedPlace, Arming, FAULT_BITS, ImageFiles, Result,
    linux::{
        corpse::Vigil,
        follow::Follow,
        hold::{Holds, Killers, Writes},
        proc::ProcDir,
        sys::prompt,
        traps,
    },
};
use snapshot::ProcessKey;
use std::{cell::RefCell, collections::BTreeSet, io, rc::Rc, time::Instant};

impl Events {
    /// Arms this and nothing else; what could not be had.
    pub(crate) fn arm(&mut self, proc: &mut ProcDir, what: &Arming) -> Result<Vec<String>> {
        let mut signals = what.signals;
        let mut lacking = Vec::new();
        if what.deaths
            && let Err(why) = self.keep_vigil(proc, what)
        {
            lacking.extend(why);
            signals |= FAULT_BITS;
        }
        if signals != what.signals || !what.deaths {
            self.vigil = None;
        }
        // What stands goes on only when its places are armed.
        let unmet = self.arm_places(proc.key, what, &mut lacking);
        self.killers = match (self.killers.take(), what.exit) {
            // Without it, the end is told without who brought it about.
            (None, true) => Killers::of(proc.key.pid).ok(),
            (killers, wanted) => killers.filter(|_| wanted),
        };
        lacking.extend(self.listen(proc.key, what.debug_strings).err());
        self.follow_if(proc, what, signals, !unmet.is_empty())?;
        lacking.extend(self.arm_traps(proc, &unmet));
        Ok(lacking)
    }

    /// Hears what it writes to its standard error; why not, if that cannot be had.
    fn listen(&mut self, key: ProcessKey, wanted: bool) -> std::result::Result<(), String> {
        self.writes = match self.writes.take().filter(|_| wanted) {
            None if wanted => {
                let writes = Writes::of(key.pid);
                let why = |error| format!("what it writes to stderr cannot be seen here: {error}");
                Some(writes.map_err(why)?)
            }
            writes => writes,
        };
        Ok(())
    }

    /// Waits for its death without tracing it; why not, if there is anything to say.
    fn keep_vigil(
        &mut self,
        proc: &mut ProcDir,
        what: &Arming,
    ) -> std::result::Result<(), Option<String>> {
        if what.exit || what.signals != 0 || what.threads {
            return Err(None);
        }
        if self.vigil.as_ref().is_some_and(|vigil| vigil.is_of(proc)) {
            return Ok(());
        }
        self.vigil = None;
        let vigil = Vigil::begin(proc).map_err(|error| {
            let cost = "each signal it gets costs it some microseconds";
            Some(format!("its death is seen by tracing ({error}): {cost}"))
        })?;
        self.vigil = Some(vigil);
        Ok(())
    }

    fn follow_if(
        &mut self,
        proc: &ProcDir,
        what: &Arming,
        signals: u64,
        traps: bool,
    ) -> Result<()> {
        let traps = traps || self.traps.is_some();
        let wanted = what.exit || signals != 0 || what.threads || traps;
        self.unfollow = false;
        match &self.follow {
            Some(follow) if wanted => follow.borrow_mut().want(signals, what.threads),
            // What stands for something it did is let go when that is done.
            Some(_) if matches!(self.at, At::Traced(..)) => self.unfollow = true,
            Some(_) => self.follow_no_longer(),
            None if wanted => {
                let follow = Follow::begin(proc, signals, what.threads)?;
                self.follow = Some(Rc::new(RefCell::new(follow)));
            }
            None => {}
        }
        Ok(())
    }

    pub(super) fn follow_no_longer(&mut self) {
        if let Some(follow) = self.follow.take() {
            let had_traps = self.traps.take().is_some();
            let threads = &mut follow.borrow_mut().threads;
            threads.stop_running(Instant::now() + STOPPING);
            if had_traps {
                threads.take_off_traps(Instant::now() + STOPPING);
            }
            threads.release();
        }
    }

    /// Puts probes at places; those that it has no right to, or that the kernel has not.
    fn arm_places<'p>(
        &mut self,
        key: ProcessKey,
        what: &'p Arming,
        lacking: &mut Vec<String>,
    ) -> Vec<&'p ArmedPlace> {
        let wanted: BTreeSet<u32> = what.places.iter().map(|place| place.number).collect();
        if !self.armed.is_subset(&wanted) || what.places.is_empty() {
            self.holds = None;
            self.traps = None;
            self.armed.clear();
        }
        let places = what.places.iter();
        let new: Vec<_> = places
            .filter(|place| !self.armed.contains(&place.number))
            .collect();
        if new.is_empty() {
            return Vec::new();
        }
        if self.holds.is_none() {
            match Holds::new(key.pid) {
                Ok(holds) => self.holds = Some(holds),
                Err(error) => {
                    lacking.push(no_probes(&error, what.unsafe_breakpoints));
                    return if what.unsafe_breakpoints {
                        new
                    } else {
                        Vec::new()
                    };
                }
            }
        }
        prompt::be_prompt();
        let files = ImageFiles::of(key);
        for place in new {
            match self.arm_place(files.as_ref(), place) {
                Ok(()) => drop(self.armed.insert(place.number)),
                Err(error) => lacking.push(lack(place, &error)),
            }
        }
        Vec::new()
    }

    /// Puts breakpoints at places of a process that is followed; what could not be had.
    fn arm_traps(&mut self, proc: &ProcDir, places: &[&ArmedPlace]) -> Vec<String> {
        let Some(follow) = self.follow.as_ref().filter(|_| !places.is_empty()) else {
            return Vec::new();
        };
        let tids: Vec<i32> = follow.borrow().threads.held.keys().copied().collect();
        let traps = self.traps.get_or_insert_default();
        follow.borrow_mut().tells_births = true;
        let maps = proc.read_living("maps").unwrap_or_default();
        let mut lacking = Vec::new();
        for place in places {
            let address = traps::address(&maps, place);
            let address = address.ok_or_else(|| io::Error::other("it is not mapped"));
            match address.and_then(|address| traps.arm(&tids, place, address)) {
                Ok(()) => drop(self.armed.insert(place.number)),
                Err(error) => lacking.push(lack(place, &error)),
            }
        }
        lacking
    }

    fn arm_place(&mut self, files: Option<&ImageFiles>, place: &ArmedPlace) -> io::Result<()> {
        let path = files.and_then(|files| files.path(&place.module));
        let path = path.ok_or_else(|| io::Error::other("its file cannot be opened"))?;
        match &mut self.holds {
            Some(holds) => holds.at_place(place.number, &path, place.offset, place.kind),
            None => Err(io::ErrorKind::Unsupported.into()),
        }
    }
}

fn no_probes(error: &io::Error, instead: bool) -> String {
    let why = format!("throws and breakpoints cannot be met by probes here ({error})");
    match instead {
        true => format!(
            "{why}: the processor's breakpoints do it, each stops the thread for some 20 µs, and the \
             process dies if firstchance is killed at that moment"
        ),
        false => format!(
            "{why}: run as root on Linux 5.17 or later, or take --unsafe-breakpoints, with which the \
             process may die if firstchance is killed"
        ),
    }
}

fn lack(place: &ArmedPlace, error: &io::Error) -> String {
    let (path, offset) = (&place.module.path, place.offset);
    format!("no probe could be put at {path}+{offset:#x}: {error}")
}
