//! The time of day and the calendar, in UTC.
//!
//! A gateway's plugins know no local time: what a config means by `22:00` must not move twice a year.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Deserializer};

use crate::host;

/// A second, in UTC. In a configuration or a list it is a string: `2026-12-31` (its first second) or
/// `2026-12-31T18:00:00Z`.
///
/// ```
/// # #[cfg(not(target_family = "wasm"))] {
/// use portcullis_plugin::clock::{Moment, Weekday};
/// let end = Moment::parse("2026-11-22T18:30:00Z")?;
/// assert_eq!((end.weekday(), end.hour(), end.minute()), (Weekday::Sunday, 18, 30));
/// let mut host = portcullis_plugin::mock::Host::new().at("2026-11-22T18:30:01Z");
/// assert!(host.within(|| Moment::now() > end));
/// # }
/// # Ok::<(), portcullis_plugin::clock::ClockError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Moment {
    /// Since 1970-01-01T00:00:00Z.
    seconds: u64,
}

/// Why a text is no time. The operator's mistake.
///
/// ```
/// use portcullis_plugin::clock::Hours;
/// let error = Hours::parse("at night").unwrap_err().to_string();
/// assert!(error.starts_with("`at night` is not a list of times of day"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClockError {
    text: String,
    expected: &'static str,
}

impl fmt::Display for ClockError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is not {}", self.text, self.expected)
    }
}

impl std::error::Error for ClockError {}

impl From<ClockError> for String {
    fn from(error: ClockError) -> Self {
        error.to_string()
    }
}

/// A day of the week.
///
/// ```
/// use portcullis_plugin::clock::{Moment, Weekday};
/// assert_eq!(Moment::parse("1970-01-01")?.weekday(), Weekday::Thursday);
/// # Ok::<(), portcullis_plugin::clock::ClockError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Weekday {
    /// The first, as ISO 8601 counts.
    Monday,
    /// The second.
    Tuesday,
    /// The third.
    Wednesday,
    /// The fourth.
    Thursday,
    /// The fifth.
    Friday,
    /// The sixth.
    Saturday,
    /// The last.
    Sunday,
}

const WEEK: [(Weekday, &str); 7] = [
    (Weekday::Monday, "monday"),
    (Weekday::Tuesday, "tuesday"),
    (Weekday::Wednesday, "wednesday"),
    (Weekday::Thursday, "thursday"),
    (Weekday::Friday, "friday"),
    (Weekday::Saturday, "saturday"),
    (Weekday::Sunday, "sunday"),
];

const DAY: u64 = 24 * 3600;

impl Moment {
    /// Now.
    ///
    /// ```
    /// use portcullis_plugin::{clock::Moment, mock::Host};
    /// let mut host = Host::new().at("2026-11-22T18:30:00Z");
    /// assert_eq!(host.within(Moment::now), Moment::parse("2026-11-22T18:30:00Z")?);
    /// # Ok::<(), portcullis_plugin::clock::ClockError>(())
    /// ```
    #[must_use]
    pub fn now() -> Self {
        Self {
            seconds: host::clock::now().as_secs(),
        }
    }

    /// Reads `2026-12-31` or `2026-12-31T18:00:00Z`, from 1970 to 9999.
    ///
    /// ```
    /// # use portcullis_plugin::clock::Moment;
    /// assert_eq!(Moment::parse("2026-12-31"), Moment::parse("2026-12-31T00:00:00Z"));
    /// assert!(Moment::parse("2026-02-29").is_err());
    /// ```
    ///
    /// # Errors
    /// [`ClockError`] names the text.
    pub fn parse(text: &str) -> Result<Self, ClockError> {
        seconds(text)
            .map(|seconds| Self { seconds })
            .ok_or_else(|| ClockError {
                text: text.to_owned(),
                expected: "a date or a time in UTC, as in `2026-12-31` or `2026-12-31T18:00:00Z`",
            })
    }

    /// So much later.
    ///
    /// ```
    /// # use portcullis_plugin::clock::Moment;
    /// let later = Moment::parse("2026-12-31")?.after(std::time::Duration::from_secs(3600));
    /// assert_eq!(later, Moment::parse("2026-12-31T01:00:00Z")?);
    /// # Ok::<(), portcullis_plugin::clock::ClockError>(())
    /// ```
    #[must_use]
    pub fn after(self, time: Duration) -> Self {
        Self {
            seconds: self.seconds.saturating_add(time.as_secs()),
        }
    }

    /// Seconds since 1970-01-01T00:00:00Z, without leap seconds.
    ///
    /// ```
    /// # use portcullis_plugin::clock::Moment;
    /// assert_eq!(Moment::parse("1970-01-02")?.unix(), 24 * 3600);
    /// # Ok::<(), portcullis_plugin::clock::ClockError>(())
    /// ```
    #[must_use]
    pub fn unix(self) -> u64 {
        self.seconds
    }

    /// Which day of the week it is.
    ///
    /// ```
    /// # use portcullis_plugin::clock::{Moment, Weekday};
    /// assert_eq!(Moment::parse("2026-11-22")?.weekday(), Weekday::Sunday);
    /// # Ok::<(), portcullis_plugin::clock::ClockError>(())
    /// ```
    #[must_use]
    pub fn weekday(self) -> Weekday {
        // 1970-01-01 was a Thursday.
        let day = usize::try_from((self.seconds / DAY + 3) % 7).unwrap_or(0);
        WEEK.get(day).map_or(Weekday::Monday, |(day, _)| *day)
    }

    /// The hour, 0 to 23.
    ///
    /// ```
    /// # use portcullis_plugin::clock::Moment;
    /// assert_eq!(Moment::parse("2026-11-22T18:30:00Z")?.hour(), 18);
    /// # Ok::<(), portcullis_plugin::clock::ClockError>(())
    /// ```
    #[must_use]
    pub fn hour(self) -> u8 {
        u8::try_from(self.seconds % DAY / 3600).unwrap_or(0)
    }

    /// The minute, 0 to 59.
    ///
    /// ```
    /// # use portcullis_plugin::clock::Moment;
    /// assert_eq!(Moment::parse("2026-11-22T18:30:00Z")?.minute(), 30);
    /// # Ok::<(), portcullis_plugin::clock::ClockError>(())
    /// ```
    #[must_use]
    pub fn minute(self) -> u8 {
        u8::try_from(self.seconds % 3600 / 60).unwrap_or(0)
    }

    /// Minutes since midnight.
    fn minutes(self) -> u16 {
        u16::from(self.hour()) * 60 + u16::from(self.minute())
    }
}

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

fn seconds(text: &str) -> Option<u64> {
    let (date, time) = match text.split_once('T') {
        Some((date, time)) => (date, Some(time)),
        None => (text, None),
    };
    let [year, month, day] = numbers(date, '-', [4, 2, 2])?;
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let length = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        _ => return None,
    };
    if year < 1970 || !(1..=length).contains(&day) {
        return None;
    }
    let [hour, minute, second] = match time {
        Some(time) => numbers(time.strip_suffix('Z')?, ':', [2, 2, 2])?,
        None => [0; 3],
    };
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    // Years that begin in March, so that the leap day is the last.
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let days = year * 365 + year / 4 - year / 100 + year / 400 + (month * 153 + 2) / 5 + day - 1;
    // From 0000-03-01 to 1970-01-01.
    Some((days - 719_468) * DAY + hour * 3600 + minute * 60 + second)
}

/// Three numbers of so many digits.
fn numbers(text: &str, between: char, digits: [usize; 3]) -> Option<[u64; 3]> {
    let mut parts = text.split(between);
    let mut numbers = [0; 3];
    for (number, digits) in numbers.iter_mut().zip(digits) {
        let part = parts.next()?;
        let good = part.len() == digits && part.bytes().all(|byte| byte.is_ascii_digit());
        *number = part.parse().ok().filter(|_| good)?;
    }
    parts.next().is_none().then_some(numbers)
}

/// Times of day: `22:00-06:00, 12:00-13:00`, each without its last minute; one that ends before it
/// begins goes over midnight. In a configuration it is a string.
///
/// ```
/// use portcullis_plugin::clock::{Hours, Moment};
/// let night = Hours::parse("22:00-06:00")?;
/// assert!(night.contains(Moment::parse("2026-11-22T05:59:59Z")?));
/// assert!(!night.contains(Moment::parse("2026-11-22T06:00:00Z")?));
/// # Ok::<(), portcullis_plugin::clock::ClockError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hours(Vec<(u16, u16)>);

impl Hours {
    /// Reads them.
    ///
    /// ```
    /// # use portcullis_plugin::clock::Hours;
    /// assert!(Hours::parse("22:00-06:00, 12:00-13:00").is_ok());
    /// assert!(Hours::parse("22-6").is_err());
    /// ```
    ///
    /// # Errors
    /// [`ClockError`] names the text.
    pub fn parse(text: &str) -> Result<Self, ClockError> {
        let minutes = |text: &str| {
            let (hour, minute) = text.trim().split_once(':')?;
            let (hour, minute) = (hour.parse::<u16>().ok()?, minute.parse::<u16>().ok()?);
            (hour < 24 && minute < 60 || (hour, minute) == (24, 0)).then_some(hour * 60 + minute)
        };
        let range = |text: &str| {
            let (from, to) = text.split_once('-')?;
            Some((minutes(from)?, minutes(to)?))
        };
        let ranges: Option<Vec<_>> = text.split(',').map(range).collect();
        ranges.map(Self).ok_or_else(|| ClockError {
            text: text.to_owned(),
            expected: "a list of times of day, as in `22:00-06:00, 12:00-13:00`",
        })
    }

    /// Whether it is one of these times.
    ///
    /// ```
    /// # use portcullis_plugin::clock::{Hours, Moment};
    /// let lunch = Hours::parse("12:00-13:00")?;
    /// assert!(lunch.contains(Moment::parse("2026-11-22T12:59:59Z")?));
    /// # Ok::<(), portcullis_plugin::clock::ClockError>(())
    /// ```
    #[must_use]
    pub fn contains(&self, moment: Moment) -> bool {
        let now = moment.minutes();
        self.0.iter().any(|(from, to)| {
            if from <= to {
                (from..to).contains(&&now)
            } else {
                now >= *from || now < *to
            }
        })
    }
}

impl<'de> Deserialize<'de> for Hours {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

/// Days of the week: `Sat-Sun, Wednesday`, in any case, with three letters or all. In a configuration it
/// is a string.
///
/// ```
/// use portcullis_plugin::clock::{Days, Moment};
/// let weekend = Days::parse("Sat-Sun")?;
/// assert!(weekend.contains(Moment::parse("2026-11-22")?));
/// assert!(!weekend.contains(Moment::parse("2026-11-23")?));
/// # Ok::<(), portcullis_plugin::clock::ClockError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Days(Vec<Weekday>);

impl Days {
    /// Reads them.
    ///
    /// ```
    /// # use portcullis_plugin::clock::Days;
    /// assert_eq!(Days::parse("sat-sun"), Days::parse("Saturday, Sunday"));
    /// assert!(Days::parse("someday").is_err());
    /// ```
    ///
    /// # Errors
    /// [`ClockError`] names the text.
    pub fn parse(text: &str) -> Result<Self, ClockError> {
        let day = |text: &str| {
            let text = text.trim().to_lowercase();
            let named = |name: &str| name == text || (text.len() == 3 && name.starts_with(&text));
            WEEK.iter().position(|(_, name)| named(name))
        };
        let mut days = Vec::new();
        for part in text.split(',') {
            let range = match part.split_once('-') {
                Some((from, to)) => day(from).zip(day(to)),
                None => day(part).map(|one| (one, one)),
            };
            let Some((from, to)) = range else {
                return Err(ClockError {
                    text: text.to_owned(),
                    expected: "a list of days, as in `Sat-Sun, Wednesday`",
                });
            };
            let count = (to + 7 - from) % 7 + 1;
            days.extend(
                WEEK.iter()
                    .cycle()
                    .skip(from)
                    .take(count)
                    .map(|(day, _)| *day),
            );
        }
        Ok(Self(days))
    }

    /// Whether it is one of these days.
    ///
    /// ```
    /// # use portcullis_plugin::clock::{Days, Moment};
    /// assert!(Days::parse("Sat-Sun")?.contains(Moment::parse("2026-11-22")?));
    /// # Ok::<(), portcullis_plugin::clock::ClockError>(())
    /// ```
    #[must_use]
    pub fn contains(&self, moment: Moment) -> bool {
        self.0.contains(&moment.weekday())
    }
}

impl<'de> Deserialize<'de> for Days {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests;
