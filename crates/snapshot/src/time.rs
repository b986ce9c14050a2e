use std::time::Duration;

/// A point in monotonic time, which never jumps: the time since a start that is the same for the
/// whole run. The rules count in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(pub Duration);

impl Time {
    /// That many seconds after the start.
    pub const fn from_secs(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    /// The time since `earlier`; zero if that is not earlier.
    pub fn since(self, earlier: Time) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

impl std::ops::Add<Duration> for Time {
    type Output = Time;

    fn add(self, by: Duration) -> Time {
        Time(self.0.saturating_add(by))
    }
}

/// A point in calendar time, which may jump: nanoseconds since 1970-01-01 00:00 UTC. People read
/// it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WallTime(pub i64);

/// The time from 1601 to 1970, in units of 100 ns.
const SINCE_1601: u64 = 116_444_736_000_000_000;

impl WallTime {
    /// The time that Windows writes as this `FILETIME`: units of 100 ns since 1601. 0 for times
    /// before 1970, among them 0, which Windows writes for none.
    pub fn from_filetime(time: u64) -> Self {
        let since = i64::try_from(time.saturating_sub(SINCE_1601)).unwrap_or(i64::MAX);
        Self(since.saturating_mul(100))
    }

    /// The `FILETIME` of this time; 0 for 0.
    pub fn filetime(self) -> u64 {
        match self.0 {
            0 => 0,
            time => SINCE_1601.saturating_add_signed(time / 100),
        }
    }

    /// The seconds since 1970, rounded down.
    pub const fn seconds(self) -> i64 {
        self.0.div_euclid(1_000_000_000)
    }

    /// The nanoseconds within the second.
    pub const fn subsecond_nanos(self) -> u32 {
        self.0.rem_euclid(1_000_000_000) as u32
    }
}
