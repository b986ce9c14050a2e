//! HTTP probes: how long a health page takes to answer.

use platform::{http, lock};
use snapshot::{Measure, Sample};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

/// A probe is given up after this time; by then every reasonable threshold is passed.
const LONGEST: Duration = Duration::from_secs(120);

/// The probes, one for each URL.
#[derive(Default)]
pub(crate) struct Probes {
    urls: HashMap<String, Arc<Mutex<State>>>,
}

#[derive(Default)]
struct State {
    /// When the probe under way began.
    began: Option<Instant>,
    /// How long the last took, in milliseconds; infinite where there was no answer.
    last: Option<f64>,
}

impl Probes {
    /// Adds the times of all URLs that are measured, and sees to it that each is probed.
    pub(crate) fn add(&mut self, measures: &[Measure], sample: &mut Sample) {
        for measure in measures {
            if let Measure::Http(url) = measure {
                let value = self.look(url);
                sample
                    .values
                    .extend(value.map(|value| (measure.clone(), value)));
            }
        }
    }

    /// The time so far of a probe that takes longer than the last one did, else the last one's.
    fn look(&mut self, url: &str) -> Option<f64> {
        let shared = self.urls.entry(url.to_owned()).or_default();
        let mut state = lock(shared);
        let running = state
            .began
            .map(|began| began.elapsed().as_secs_f64() * 1000.0);
        if running.is_none() {
            state.began = Some(Instant::now());
            let (url, shared) = (url.to_owned(), shared.clone());
            std::thread::spawn(move || probe(&url, &shared));
        }
        match (running, state.last) {
            (Some(running), Some(last)) => Some(running.max(last)),
            (Some(running), None) => Some(running),
            (None, last) => last,
        }
    }
}

fn probe(url: &str, shared: &Mutex<State>) {
    let began = Instant::now();
    // Any answer is an answer, an error page too: the program is alive.
    let took = match http::answers(url, LONGEST) {
        true => began.elapsed().as_secs_f64() * 1000.0,
        false => f64::INFINITY,
    };
    *lock(shared) = State {
        began: None,
        last: Some(took),
    };
}
