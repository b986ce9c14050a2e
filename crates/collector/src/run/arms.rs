//! What has to be armed in a process for what the rules want to hear of: places in its images.

use analysis::places::{self, ThrowPlace, Thrower};
use platform::{
    ArmedPlace, Arming, FAULT_BITS, FAULT_SIGNALS, FileIdentity, HoldOptions, ImageFiles, KindAt,
    Result, Target,
};
use policy::{Chance, ExceptionFilter, Place, WakeFor};
use snapshot::{
    Architecture, Exception, Memory, Module, NoMemory, OperatingSystem, ProcessKey, TargetEvent,
};
use std::collections::HashMap;

/// The function that a loader calls when it has changed its list of images, for debuggers.
const LOADER_CALLS: &str = "_dl_debug_state";

mod images;
mod windows;

use images::InImage;
pub(super) use windows::{Ended, ended};

/// What following by ptrace costs; measured with a program that handles 10,000 signals a second,
/// which lost most of its work.
const TRACING: &str = "signals are seen by tracing: each that the process gets, handled or not, \
                       costs it some microseconds";

/// What hearing of lines costs, by a loop of getppid(2).
const LISTENING: &str = "what it writes to stderr is read by a tracepoint at system calls: \
                         meanwhile every system call of this machine takes about 0.2 µs longer";

/// What there is to say of .NET.
const DOTNET: &str = "exceptions of .NET by their type are not built yet: only signals are seen";

/// Libraries of runtimes, and what there is to say where they give no place to stand on.
const STRANGERS: [(&str, &str); 5] = [
    ("libcoreclr.so", DOTNET),
    (
        "libjvm.so",
        "exceptions of this build of Java cannot be seen, its libjvm.so has no symbols: only \
         signals and the exit are",
    ),
    ("coreclr.dll", windows::DOTNET),
    ("clr.dll", windows::DOTNET),
    ("mscorwks.dll", windows::DOTNET),
];

/// What there is to say of Node where first chances are wanted.
const NODE: &str = "errors that JavaScript throws and catches are not seen in Node, only one that \
                    nobody catches (NODE.uncaught)";

/// What is armed.
#[derive(Default)]
pub(super) struct Arms {
    holds: HoldOptions,
    /// By the number it is reported under.
    arms: Vec<Arm>,
    /// A probe is one of the file, wherever and however often that is mapped (node's own program is, in two parts; the
    /// loader is by each program that the process executes).
    known: HashMap<Spot, Vec<u32>>,
    /// Images that were looked into, and what was found.
    seen: HashMap<(u64, String), Vec<(Arm, u64)>>,
    modules: Vec<Module>,
    /// Names of images of Windows that are of interest by their name alone.
    names: Vec<String>,
    /// Whether an image has the runtime of .NET in itself.
    has_dotnet: bool,
    /// What was wanted when it was planned last.
    planned_for: Option<WakeFor>,
}

/// A place in a file: its name and which file that is, if it can be told, and the offset.
type Spot = (String, Option<FileIdentity>, u64);

/// What stands behind a place.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Arm {
    /// The process throws there.
    Throw(ThrowPlace),
    /// A breakpoint of this number.
    Place(u32),
    /// The loader tells of images.
    Loader,
}

impl Arms {
    /// Arms nothing yet.
    pub(super) fn new(holds: HoldOptions) -> Self {
        Self {
            holds,
            ..Self::default()
        }
    }

    /// Another program has begun. What is known of files stays: it may have the same ones.
    pub(super) fn program_replaced(&mut self) {
        if self.is_by_address() {
            *self = Self::new(self.holds);
        }
        self.forget_images();
        self.modules.clear();
        self.names.clear();
        self.has_dotnet = false;
    }

    /// Images may be others at the same place, or something else may be wanted of them.
    pub(super) fn forget_images(&mut self) {
        self.seen.clear();
    }

    /// Whether places are armed at their address, and have to be anew where an image is mapped elsewhere.
    fn is_by_address(&self) -> bool {
        !on_linux() || self.holds.unsafe_breakpoints
    }

    /// The images of the last [look](Arms::look).
    pub(super) fn modules(&self) -> &[Module] {
        &self.modules
    }

    /// What stands behind the number of a place.
    pub(super) fn at(&self, number: u32) -> Option<Arm> {
        self.arms.get(number as usize).copied()
    }

    /// Whether an image of the last [look](Arms::look) throws, as far as that is wanted.
    pub(super) fn throws(&self) -> bool {
        let mut found = self.seen.values().flatten();
        found.any(|(arm, _)| matches!(arm, Arm::Throw(_)))
    }

    /// What is to be armed now, in the images of the last [look](Arms::look), and what cannot be
    /// had, in sentences.
    pub(super) fn plan(
        &mut self,
        key: ProcessKey,
        target: &dyn Target,
        wake: &WakeFor,
    ) -> (Arming, Vec<String>) {
        let is_same = self.planned_for.as_ref() == Some(wake);
        if !is_same {
            self.forget_images();
            self.planned_for = Some(wake.clone());
        }
        let signals = if on_linux() { signals(wake) } else { 0 };
        let mut arming = Arming {
            exit: wake.wants_end(),
            // Also where only first chances are wanted: it is told of what they left out.
            deaths: !wake.exceptions.is_empty(),
            signals,
            exceptions: !wake.exceptions.is_empty(),
            modules: wants_modules(wake),
            debug_strings: !wake.debug_strings.is_empty(),
            threads: wake.thread_starts || wake.thread_exits,
            holds: self.holds,
            places: Vec::new(),
            keeps_places: is_same && !self.is_by_address(),
        };
        let mut lacking = Vec::new();
        if on_linux() && arming.debug_strings {
            lacking.push(LISTENING.to_owned());
        }
        if wants_images(wake) {
            if let Some(files) = ImageFiles::of(key) {
                let memory = target.memory();
                arming.places = self.places(&files, &*memory, wake);
            }
            lacking.extend(self.lacking(wake));
        }
        // Without an action, its end is armed for a moment only: until a program that we launch stands at its first instruction.
        let exit = arming.exit && wake.acts;
        if on_linux() && (signals != 0 || exit || arming.threads) {
            lacking.push(TRACING.to_owned());
        }
        lacking.extend(self.strangers(wake));
        (arming, lacking)
    }

    /// Runtimes whose exceptions are not met: better said than waited for in vain.
    pub(super) fn strangers(&self, wake: &WakeFor) -> Vec<String> {
        if !wants_names(wake) {
            return Vec::new();
        }
        let met = |module: &Module| {
            let image = (module.range.start, module.path.clone());
            let found = self.seen.get(&image).into_iter().flatten();
            { found }.any(|(arm, _)| matches!(arm, Arm::Throw(_)))
        };
        let has = |name: &str| {
            let is_it = |other: &str| other.eq_ignore_ascii_case(name);
            let mut modules = self.modules.iter();
            modules.any(|module| is_it(module.name()) && !met(module))
                || self.names.iter().any(|other| is_it(other))
        };
        let strangers = STRANGERS.iter().filter(|(library, _)| has(library));
        let is_node = wake.wants_first_chance() && self.has_thrower(Thrower::NodeUncaught);
        let node = is_node.then_some(NODE);
        let dotnet = self.has_dotnet.then_some(DOTNET);
        let told = strangers.map(|(_, text)| *text).chain(node).chain(dotnet);
        told.map(str::to_owned).collect()
    }

    /// Whether an image of the last [look](Arms::look) throws in this way.
    fn has_thrower(&self, thrower: Thrower) -> bool {
        let mut found = self.seen.values().flatten();
        found.any(|(arm, _)| matches!(arm, Arm::Throw(place) if place.thrower == thrower))
    }

    fn places(
        &mut self,
        files: &ImageFiles,
        memory: &dyn Memory,
        wake: &WakeFor,
    ) -> Vec<ArmedPlace> {
        let mut armed = Vec::new();
        for module in self.modules.clone() {
            let found = self.found_in(&module, files, memory, wake);
            let file = match found.is_empty() {
                true => None,
                false => files.identity(&module),
            };
            for (arm, offset) in found {
                let number = self.number(arm, (module.path.clone(), file, offset));
                if armed
                    .iter()
                    .any(|place: &ArmedPlace| place.number == number)
                {
                    continue;
                }
                armed.push(ArmedPlace {
                    number,
                    module: module.clone(),
                    offset,
                    kind: kind_at(arm),
                });
            }
        }
        armed
    }

    fn found_in(
        &mut self,
        module: &Module,
        files: &ImageFiles,
        memory: &dyn Memory,
        wake: &WakeFor,
    ) -> Vec<(Arm, u64)> {
        let image = (module.range.start, module.path.clone());
        if let Some(found) = self.seen.get(&image) {
            return found.clone();
        }
        let found = match platform::OS {
            OperatingSystem::Windows => {
                let bytes = files.open(module);
                let file = bytes.as_ref().map(|bytes| (**bytes).as_ref());
                windows::look(module, file, memory, wake)
            }
            OperatingSystem::Linux | OperatingSystem::Foreign(_) => {
                let image = InImage::of(module, files);
                self.has_dotnet |= image.as_ref().is_some_and(|image| image.is_dotnet);
                match image.and_then(|image| look(module, &image, files, wake)) {
                    Some(found) => found,
                    None => return Vec::new(),
                }
            }
        };
        self.seen.insert(image, found.clone());
        found
    }

    fn number(&mut self, arm: Arm, spot: Spot) -> u32 {
        let arms = &mut self.arms;
        // What throws may stand where a breakpoint is wanted, too.
        let known = self.known.entry(spot).or_default();
        let found = known.iter().find(|number| arms[**number as usize] == arm);
        found.copied().unwrap_or_else(|| {
            let number = arms.len() as u32;
            arms.push(arm);
            known.push(number);
            number
        })
    }

    /// Breakpoints of which no image has the place yet.
    fn lacking(&self, wake: &WakeFor) -> Vec<String> {
        let armed = |number: &u32| self.arms.contains(&Arm::Place(*number));
        let open = wake
            .breakpoints
            .iter()
            .filter(|(number, place)| *place != Place::Exit && !armed(number));
        open.map(|(_, place)| format!("`breakpoint {place}` waits for an image that has it"))
            .collect()
    }

    /// An image has come, as Windows tells.
    pub(super) fn came(&mut self, path: &str) {
        let name = path.rsplit('\\').next().unwrap_or(path);
        self.names.push(name.to_owned());
    }

    /// This image is no longer.
    pub(super) fn unmapped(&mut self, base: u64, path: &str) {
        self.seen.retain(|(at, _), _| *at != base);
        // Where it is armed at an address, it has to be anew.
        if self.is_by_address() {
            self.known.retain(|(file, ..), _| file != path);
        }
    }

    /// Looks at the images, where any is wanted: what has been mapped and unmapped since the last
    /// time.
    pub(super) fn look(
        &mut self,
        target: &mut dyn Target,
        wake: &WakeFor,
    ) -> Result<Vec<TargetEvent>> {
        if !wants_images(wake) && !wants_names(wake) {
            return Ok(Vec::new());
        }
        let now = target.modules()?;
        if !wants_images(wake) {
            now.iter().for_each(|module| self.came(&module.path));
            return Ok(Vec::new());
        }
        // One that is ending has lost them, and what is armed tells of its last moments.
        if now.is_empty() {
            return Ok(Vec::new());
        }
        let is_in = |module: &Module, list: &[Module]| {
            let same = |other: &Module| {
                other.range.start == module.range.start && other.path == module.path
            };
            list.iter().any(same)
        };
        let of = |module: &Module| (module.path.clone(), module.range.start);
        let mut events = Vec::new();
        let before = std::mem::replace(&mut self.modules, now.clone());
        for module in before.iter().filter(|module| !is_in(module, &now)) {
            let (path, base) = of(module);
            self.unmapped(base, &path);
            events.push(TargetEvent::ModuleUnload { path, base });
        }
        for module in now.iter().filter(|module| !is_in(module, &before)) {
            let (path, base) = of(module);
            events.push(TargetEvent::ModuleLoad { path, base });
        }
        Ok(events)
    }
}

fn signals(wake: &WakeFor) -> u64 {
    let numbers = wake.signals.iter().filter(|n| (1..=64).contains(*n));
    let mut signals = numbers.fold(0, |all, number| all | 1 << (number - 1));
    if wake.exceptions.iter().any(may_be_fault) {
        signals |= FAULT_BITS;
    }
    signals
}

/// Whether a filter may mean a signal before any handler has seen it, which only tracing shows, and
/// that is not to be had for nothing.
fn may_be_fault(filter: &ExceptionFilter) -> bool {
    let codes = (-7..16).chain([128]);
    let faults = codes.flat_map(|code| FAULT_SIGNALS.map(|signal| fault(signal, code)));
    filter.chance != Chance::Unhandled && { faults }.any(|fault| filter.wakes_for(&fault))
}

fn fault(signal: u32, code: i32) -> Exception {
    let mut fault = Exception {
        code: signal,
        flags: code as u32,
        first_chance: true,
        ..Exception::default()
    };
    let system = (OperatingSystem::Linux, Architecture::X86_64);
    fault.name = analysis::exception_name(&fault, system.0, system.1, &NoMemory);
    fault
}

fn on_linux() -> bool {
    platform::OS == OperatingSystem::Linux
}

/// Only Linux has places of its own for images and exceptions.
fn wants_images(wake: &WakeFor) -> bool {
    wants_places(wake) || on_linux() && (wants_modules(wake) || !wake.exceptions.is_empty())
}

/// Whether images that come are to be told: they may have the place that is waited for, or be those
/// of a runtime on Windows.
fn wants_modules(wake: &WakeFor) -> bool {
    let of_rules = !wake.module_loads.is_empty() || !wake.module_unloads.is_empty();
    of_rules || wants_places(wake) || !on_linux() && wants_names(wake)
}

/// Whether exceptions are wanted whose names a runtime would have to tell.
fn wants_names(wake: &WakeFor) -> bool {
    match on_linux() {
        true => !wake.exceptions.is_empty(),
        false => wake.exceptions.iter().any(windows::means_types),
    }
}

fn wants_places(wake: &WakeFor) -> bool {
    let mut places = wake.breakpoints.iter();
    places.any(|(_, place)| *place != Place::Exit)
}

/// What one image has of what is wanted, each with its offset in the file. `None` if its file cannot be opened.
fn look(
    module: &Module,
    image: &InImage,
    files: &ImageFiles,
    wake: &WakeFor,
) -> Option<Vec<(Arm, u64)>> {
    let mut found = Vec::new();
    if !wake.exceptions.is_empty() {
        let first = wake.wants_first_chance();
        let unhandled = wake.wants_unhandled();
        let may_be_last = |thrower: Thrower| thrower.is_last() || unhandled && thrower.may_abort();
        let wanted = |place: &&ThrowPlace| first || may_be_last(place.thrower);
        let places = image.throws.iter().filter(wanted);
        found.extend(places.map(|place| (Arm::Throw(*place), place.spot.offset)));
    }
    if !wake.breakpoints.is_empty() {
        let bytes = files.open(module)?;
        for (number, place) in &wake.breakpoints {
            let spot = spot(module, (*bytes).as_ref(), place);
            found.extend(spot.map(|offset| (Arm::Place(*number), offset)));
        }
    }
    found.extend(image.loader());
    Some(found)
}

fn spot(module: &Module, image: &[u8], place: &Place) -> Option<u64> {
    let spot = match place {
        Place::Symbol {
            module: wanted,
            symbol,
            offset,
        } => {
            let named = |name: &str| name.eq_ignore_ascii_case(wanted);
            let stem = module.name().split(".so").next().unwrap_or_default();
            let is_it = named(module.name()) || named(stem) || named(&format!("{stem}.so"));
            is_it.then(|| places::symbol_spot(image, symbol, *offset))?
        }
        Place::Address(address) => {
            let inside = module.range.contains(*address);
            inside.then(|| places::address_spot(image, module.range.start, *address))?
        }
        Place::Exit => None,
    };
    spot.map(|spot| spot.offset)
}

fn kind_at(arm: Arm) -> Option<KindAt> {
    match arm {
        Arm::Throw(place) => place.type_key.map(|kind| KindAt {
            register: (kind.register.offset() / 8) as u8,
            trail: kind.trail,
        }),
        Arm::Place(_) | Arm::Loader => None,
    }
}
