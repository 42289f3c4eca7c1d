use portcullis_xmpp::jid::Domain;

use super::backoff::{FIRST_PAUSE, LONGEST_PAUSE};
use super::*;

/// Health, its clock, and senders by name.
struct Ward {
    clock: Clock,
    health: Health,
}

const FREE: Asked = Asked {
    of_plugin: Call::Free,
    of_sender: Call::Free,
};

fn domain(name: &str) -> Domain {
    Domain::parse(name).unwrap()
}

fn nothing(turns: &Turns) -> bool {
    turns.of_plugin.is_none() && turns.of_sender.is_none()
}

impl Ward {
    fn new() -> Self {
        let clock = Clock::movable();
        Self {
            health: Health::new(clock.clone()),
            clock,
        }
    }

    /// Failures in a row of one sender after the other, up to the quarantine.
    fn quarantined() -> Self {
        let ward = Self::new();
        for name in ["a.test", "b.test", "c.test", "a.test"] {
            assert!(nothing(&ward.fails(name)), "{name}");
        }
        assert_eq!(
            ward.fails("b.test").of_plugin,
            Some(Turn::Rests(FIRST_PAUSE))
        );
        ward
    }

    fn may_ask(&self, name: &str) -> Result<Asked, Resting> {
        self.health.may_ask(Sender::Domain(&domain(name)))
    }

    fn asked(&self, name: &str) -> Result<(), Resting> {
        self.health
            .rests(Sender::Domain(&domain(name)))
            .map_or(Ok(()), Err)
    }

    fn fails(&self, name: &str) -> Turns {
        self.fails_when(name, &FREE)
    }

    fn fails_when(&self, name: &str, asked: &Asked) -> Turns {
        let domain = domain(name);
        let failure = "trap".to_owned();
        self.health.failed(Sender::Domain(&domain), failure, asked)
    }

    fn succeeds_when(&self, name: &str, asked: &Asked) -> Turns {
        self.health.succeeded(Sender::Domain(&domain(name)), asked)
    }

    /// Asserts that the next trial is after this pause, or at most an eighth earlier; waits for it.
    fn rests_for(&self, pause: Duration, name: &str) {
        let early = pause - pause / 8 - Duration::from_millis(1);
        self.clock.advance(early);
        assert!(self.may_ask(name).is_err(), "{pause:?}");
        self.clock.advance(pause - early);
    }
}

#[test]
fn failures_in_a_row_on_what_many_send_quarantine_the_plugin() {
    let ward = Ward::quarantined();
    assert_eq!(ward.asked("unheard.test"), Err(Resting::Plugin));
    assert!(ward.health.quarantine().is_some());
    ward.rests_for(FIRST_PAUSE, "unheard.test");
}

#[test]
fn nobody_and_no_two_together_quarantine_it_for_all_others() {
    let ward = Ward::new();
    for _ in 0..100 {
        for name in ["evil.test", "worse.test"] {
            if let Ok(asked) = ward.may_ask(name) {
                assert_eq!(ward.fails_when(name, &asked).of_plugin, None);
            }
            assert_eq!(ward.asked("good.test"), Ok(()));
        }
        ward.clock.advance(FIRST_PAUSE / 2);
    }
    assert_eq!(ward.health.quarantine(), None);
    let resting = ward.health.senders();
    let names: Vec<_> = resting.iter().map(|it| it.sender.as_str()).collect();
    assert_eq!(names, ["evil.test", "worse.test"]);
}

#[test]
fn who_makes_it_fail_is_left_alone_for_longer_each_time_and_told_of_once() {
    let ward = Ward::new();
    for _ in 1..STRIKES {
        assert!(nothing(&ward.fails("evil.test")));
    }
    let turns = ward.fails("evil.test");
    assert_eq!(turns.of_plugin, None);
    assert_eq!(
        turns.of_sender,
        Some((Arc::from("evil.test"), Turn::Rests(FIRST_PAUSE)))
    );
    let mut pause = FIRST_PAUSE;
    for _ in 0..8 {
        assert_eq!(ward.asked("evil.test"), Err(Resting::Sender));
        ward.rests_for(pause, "evil.test");
        let asked = ward.may_ask("evil.test").unwrap();
        assert!(ward.may_ask("evil.test").is_err(), "one trial at a time");
        assert!(nothing(&ward.fails_when("evil.test", &asked)), "told once");
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
    ward.clock.advance(LONGEST_PAUSE);
    let asked = ward.may_ask("evil.test").unwrap();
    let turns = ward.succeeds_when("evil.test", &asked);
    assert!(matches!(turns.of_sender, Some((_, Turn::Recovered(_)))));
    assert_eq!(ward.asked("evil.test"), Ok(()));
    assert!(ward.health.senders().is_empty());
}

#[test]
fn what_is_the_plugins_own_fault_quarantines_it_whoever_asks() {
    let ward = Ward::new();
    let mut last = Turns::default();
    for _ in 0..STRIKES {
        last = ward
            .health
            .failed(Sender::Plugin, "no instance".to_owned(), &FREE);
    }
    assert_eq!(last.of_plugin, Some(Turn::Rests(FIRST_PAUSE)));
    assert!(ward.health.senders().is_empty());
}

#[test]
fn a_success_of_anybody_clears_the_plugins_strikes_and_a_senders_own_its_own() {
    let ward = Ward::new();
    for _ in 0..10 {
        for name in ["a.test", "b.test", "c.test", "d.test"] {
            assert!(nothing(&ward.fails(name)));
            assert!(nothing(&ward.succeeds_when(name, &FREE)));
        }
    }
    for _ in 1..STRIKES {
        assert!(nothing(&ward.fails("a.test")));
        assert!(nothing(&ward.succeeds_when("b.test", &FREE)));
    }
    assert!(ward.fails("a.test").of_sender.is_some());
}

#[test]
fn quarantine_ends_with_a_trial_that_succeeds() {
    let ward = Ward::quarantined();
    ward.clock.advance(FIRST_PAUSE);
    let asked = ward.may_ask("d.test").unwrap();
    assert!(ward.may_ask("e.test").is_err(), "one trial at a time");
    let turns = ward.succeeds_when("d.test", &asked);
    assert!(matches!(turns.of_plugin, Some(Turn::Recovered(_))));
    assert_eq!(ward.asked("e.test"), Ok(()));
    assert_eq!(ward.health.quarantine(), None);
}

#[test]
fn of_a_crowd_after_the_pause_one_is_let_through() {
    let ward = Ward::quarantined();
    ward.clock.advance(FIRST_PAUSE);
    let let_through: usize = std::thread::scope(|scope| {
        let ask = || usize::from(ward.may_ask("d.test").is_ok());
        let crowd: Vec<_> = (0..16).map(|_| scope.spawn(ask)).collect();
        crowd.into_iter().map(|one| one.join().unwrap()).sum()
    });
    assert_eq!(let_through, 1);
}

#[test]
fn who_failed_the_trial_leaves_the_next_one_to_others() {
    let ward = Ward::quarantined();
    let mut pause = FIRST_PAUSE;
    for _ in 0..8 {
        ward.clock.advance(pause);
        let asked = ward.may_ask("evil.test").unwrap();
        assert_eq!(ward.fails_when("evil.test", &asked).of_plugin, None);
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
    // The first moment at which anybody may: never the one who failed it before.
    ward.clock.advance(pause - pause / 8);
    while ward.asked("good.test").is_err() {
        assert!(ward.may_ask("evil.test").is_err());
        ward.clock.advance(Duration::from_millis(1));
    }
    let asked = ward.may_ask("good.test").unwrap();
    let turns = ward.succeeds_when("good.test", &asked);
    assert!(matches!(turns.of_plugin, Some(Turn::Recovered(_))));
}

#[test]
fn the_outcome_of_a_call_from_before_the_quarantine_changes_nothing() {
    let ward = Ward::quarantined();
    assert!(nothing(&ward.succeeds_when("d.test", &FREE)));
    assert_eq!(ward.fails("d.test").of_plugin, None);
    assert!(ward.health.quarantine().is_some());
    ward.clock.advance(FIRST_PAUSE);
    assert!(ward.may_ask("e.test").is_ok(), "the pause is what it was");
}

#[test]
fn each_failed_trial_doubles_the_pause_up_to_a_bound() {
    let ward = Ward::quarantined();
    let mut pause = FIRST_PAUSE;
    for n in 0..10 {
        let name = format!("sender{n}.test");
        ward.rests_for(pause, &name);
        let asked = ward.may_ask(&name).unwrap();
        assert!(nothing(&ward.fails_when(&name, &asked)), "told once");
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
    assert_eq!(pause, LONGEST_PAUSE);
}

#[test]
fn a_relapse_goes_on_with_the_pause_and_a_later_failure_begins_anew() {
    let relapse = |ward: &Ward| {
        for name in ["a.test", "b.test", "c.test", "a.test"] {
            assert_eq!(ward.fails(name).of_plugin, None);
        }
        ward.fails("b.test").of_plugin
    };
    let ward = Ward::quarantined();
    ward.clock.advance(FIRST_PAUSE);
    let asked = ward.may_ask("d.test").unwrap();
    assert!(nothing(&ward.fails_when("d.test", &asked)));
    ward.clock.advance(FIRST_PAUSE * 2);
    let asked = ward.may_ask("e.test").unwrap();
    assert!(ward.succeeds_when("e.test", &asked).of_plugin.is_some());
    assert_eq!(relapse(&ward), Some(Turn::Rests(FIRST_PAUSE * 4)));

    ward.clock.advance(FIRST_PAUSE * 4);
    let asked = ward.may_ask("e.test").unwrap();
    assert!(ward.succeeds_when("e.test", &asked).of_plugin.is_some());
    ward.clock.advance(PROBATION);
    assert_eq!(relapse(&ward), Some(Turn::Rests(FIRST_PAUSE)));
}

#[test]
fn what_is_remembered_of_senders_is_bounded_and_forgotten() {
    let ward = Ward::new();
    for n in 0..REMEMBERED * 3 {
        let _ = ward.fails(&format!("s{n}.test"));
        let _ = ward.succeeds_when("good.test", &FREE);
    }
    assert_eq!(ward.health.record().senders.len(), REMEMBERED);
    ward.clock.advance(PROBATION * 2);
    let _ = ward.succeeds_when("good.test", &FREE);
    assert!(ward.health.record().senders.is_empty());
    assert!(!ward.health.troubled.load(Ordering::Acquire));
}
