//! Where components are compiled: beside live traffic, and so that traffic does not notice.
//!
//! In: work that the compiler splits over threads. Out: what it returns. Before anything is judged the
//! compiler gets all processors. Afterwards it gets half of them, one at least, at a lower priority: a
//! swap takes longer, and a stanza that comes meanwhile does not wait for it. The threads live as long
//! as the work. Can fail: they cannot be started; the work is done on the caller's thread then.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

/// How much lower: the kernel gives such a thread about a tenth of a processor that others want, and
/// all of one that nobody does.
const NICE: i32 = 10;

#[derive(Debug, Default)]
pub(crate) struct Workshop {
    /// Whether stanzas are judged meanwhile.
    beside_traffic: AtomicBool,
}

impl Workshop {
    /// From now on there is traffic.
    pub(crate) fn traffic_begins(&self) {
        self.beside_traffic.store(true, Ordering::Relaxed);
    }

    /// Does the work, and returns when it is done.
    pub(crate) fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        let processors = thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let quiet = self.beside_traffic.load(Ordering::Relaxed);
        let threads = match quiet {
            true => (processors / 2).max(1),
            false => processors,
        };
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .thread_name(|number| format!("compiler-{number}"))
            .start_handler(move |_| {
                // A kernel that refuses leaves it as it is.
                if quiet && let Err(error) = rustix::process::nice(NICE) {
                    tracing::debug!(%error, "the compiler keeps its priority");
                }
            })
            .build();
        match pool {
            Ok(pool) => pool.install(work),
            Err(error) => {
                tracing::warn!(%error, "the compiler has no threads of its own");
                work()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::Mutex;

    use super::*;

    /// Names and priorities of the threads that split work runs on.
    fn threads(workshop: &Workshop) -> BTreeSet<(String, i32)> {
        let seen = Mutex::new(BTreeSet::new());
        workshop.run(|| {
            rayon::broadcast(|_| {
                let name = thread::current().name().unwrap_or_default().to_owned();
                let nice = rustix::process::getpriority_process(None).unwrap();
                seen.lock().unwrap().insert((name, nice));
            });
        });
        seen.into_inner().unwrap()
    }

    #[test]
    fn beside_traffic_the_compiler_has_half_of_the_processors_and_steps_back_on_them() {
        let workshop = Workshop::default();
        let own = rustix::process::getpriority_process(None).unwrap();
        let processors = thread::available_parallelism().unwrap().get();
        let all = |count: usize, nice: i32| -> BTreeSet<_> {
            (0..count)
                .map(|number| (format!("compiler-{number}"), nice))
                .collect()
        };
        assert_eq!(
            threads(&workshop),
            all(processors, own),
            "nothing else to do"
        );
        workshop.traffic_begins();
        // 19 is the lowest that there is.
        assert_eq!(
            threads(&workshop),
            all((processors / 2).max(1), (own + NICE).min(19))
        );
    }
}
