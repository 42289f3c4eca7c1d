//! By when a connection must have got where, and how fast it must talk.

use std::time::Duration;

use tokio::time::Instant;

/// The share of `timeouts.establish` that the first phase has, and that an unfinished element has
/// before its rate is looked at.
const FIRST: u32 = 4;
/// The share until TLS stands: the rest is for proving the name, which may take a third server.
const SECOND: u32 = 2;

/// When each phase of a connection ends at the latest, however busily the peer talks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deadlines {
    /// From TCP to the stream's header: a quarter of `timeouts.establish`.
    pub(crate) header: Instant,
    /// From the header to TLS: half of it.
    pub(crate) tls: Instant,
    /// From TLS to a stream that carries stanzas: the whole.
    pub(crate) established: Instant,
}

impl Deadlines {
    pub(crate) fn new(accepted: Instant, establish: Duration) -> Self {
        Self {
            header: accepted + establish / FIRST,
            tls: accepted + establish / SECOND,
            established: accepted + establish,
        }
    }
}

/// How fast an element that has begun must come, before and after authentication: a peer may pause
/// between elements as long as it likes, but what it has begun takes memory until it is whole.
#[derive(Debug)]
pub(crate) struct Pace {
    /// Bytes per second.
    floor: usize,
    grace: Duration,
    /// Bytes that came on this connection.
    heard: usize,
    /// Where the unfinished element began, in bytes and in time.
    began: Option<(usize, Instant)>,
}

impl Pace {
    /// `floor` is `limits.minimum_rate`.
    pub(crate) fn new(floor: usize, establish: Duration) -> Self {
        Self {
            floor: floor.max(1),
            grace: establish / FIRST,
            heard: 0,
            began: None,
        }
    }

    /// So many more bytes came.
    pub(crate) fn heard(&mut self, bytes: usize) {
        self.heard = self.heard.wrapping_add(bytes);
    }

    /// When more must have come, if so many of the bytes heard belong to an element that is not whole
    /// yet; none between elements.
    pub(crate) fn deadline(&mut self, unfinished: usize, now: Instant) -> Option<Instant> {
        let start = self.heard.wrapping_sub(unfinished);
        self.began = match self.began {
            _ if unfinished == 0 => None,
            Some((at, since)) if at == start => Some((at, since)),
            _ => Some((start, now)),
        };
        let (_, since) = self.began?;
        let bytes = u64::try_from(unfinished).unwrap_or(u64::MAX);
        let floor = u64::try_from(self.floor).unwrap_or(u64::MAX);
        let earned = Duration::from_millis(bytes.saturating_mul(1000) / floor);
        Some(since + self.grace + earned)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn v14_each_phase_ends_within_the_whole() {
        let now = Instant::now();
        let deadlines = Deadlines::new(now, MINUTE);
        assert_eq!(deadlines.header, now + MINUTE / 4);
        assert_eq!(deadlines.tls, now + MINUTE / 2);
        assert_eq!(deadlines.established, now + MINUTE);
    }

    #[test]
    fn v14_an_unfinished_element_must_come_at_a_rate() {
        let start = Instant::now();
        let second = Duration::from_secs(1);
        let mut pace = Pace::new(100, MINUTE);
        assert_eq!(pace.deadline(0, start), None);
        pace.heard(100);
        let first = pace.deadline(100, start);
        assert_eq!(first, Some(start + 15 * second + second));
        assert_eq!(pace.deadline(100, start + 5 * second), first);
        // A hundred bytes more are a second more.
        pace.heard(200);
        let later = pace.deadline(300, start + 10 * second);
        assert_eq!(later, Some(start + 18 * second));
        // The element is whole, and the next one has begun in the same read.
        pace.heard(500);
        let next = pace.deadline(400, start + 12 * second);
        assert_eq!(next, Some(start + 31 * second));
        pace.heard(10);
        assert_eq!(pace.deadline(0, start + 13 * second), None);
    }
}
