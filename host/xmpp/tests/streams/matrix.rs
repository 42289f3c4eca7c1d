//! The rows of TLS, SASL and dialback (Lync's negotiation settings), each against each: our two
//! machines end up authenticated by exactly the method that both sides' rows name, or not at all.

use portcullis_xmpp::{
    dialback::Verified,
    stream::{Method, Need, Phase, Proof, Start, Terms},
};
use proptest::prelude::*;

use crate::support::*;
use Need::{NotSupported as N, Optional as O, Required as R};

/// TLS, SASL over TLS, dialback with TLS, dialback without: what the valid rows of the matrix come to.
const ROWS: [(Need, bool, bool, bool); 12] = [
    (R, true, false, false),
    (R, true, false, false),
    (O, true, true, true),
    (O, true, false, false),
    (N, false, false, true),
    (R, true, true, false),
    (R, true, false, false),
    (O, true, true, true),
    (O, true, false, false),
    (R, false, true, false),
    (O, false, true, true),
    (N, false, false, true),
];

fn terms((tls, external, tls_dialback, tcp_dialback): (Need, bool, bool, bool)) -> Terms {
    Terms {
        tls,
        external,
        tls_dialback,
        tcp_dialback,
        bidi: false,
        management: false,
    }
}

/// What has to come of it, thought out anew: the method on our side and on the other.
fn expected(
    ours: Terms,
    theirs: Terms,
    direct: bool,
    we_are_proven: bool,
    they_are_proven: bool,
) -> Option<(Method, Method)> {
    let external = Method::External(Proof::Pkix);
    let tls = direct || (ours.tls != N && theirs.tls != N);
    if !tls {
        // With TLS required by one side and impossible for the other there is nothing.
        let both = ours.tcp_dialback && theirs.tcp_dialback && ours.tls != R && theirs.tls != R;
        return both.then_some((Method::TcpDialback, Method::TcpDialback));
    }
    // They let us on by certificate, or verify our key; we send a key if we may.
    let certificate = theirs.external && we_are_proven;
    if !certificate && !theirs.tls_dialback {
        return None;
    }
    if ours.external && they_are_proven && certificate {
        return Some((external, external));
    }
    if !ours.tls_dialback {
        return None;
    }
    // XEP-0344: a good certificate spares them the question.
    let method = if certificate {
        external
    } else {
        Method::TlsDialback
    };
    Some((Method::TlsDialback, method))
}

/// Lets both machines speak until neither has anything to say.
fn talk(
    ours: Terms,
    theirs: Terms,
    direct: bool,
    we_are_proven: bool,
    they_are_proven: bool,
    reads: &[usize],
) -> Option<(Method, Method)> {
    let answers = |terms, proven| match proven {
        true => Answers::on(terms),
        false => Answers::unproven(terms),
    };
    let start = || match direct {
        true => Start::Tls(tls()),
        false => Start::Plain,
    };
    let mut cable = Cable::new(
        start(),
        answers(ours, they_are_proven),
        answers(theirs, we_are_proven),
    );
    cable.run(reads);
    let clear = cable.clear.clone();
    if ours.tls == R || theirs.tls == R {
        assert!(
            !clear.contains("db:result") && !clear.contains("<message"),
            "in the clear: {clear}"
        );
    }
    let out = cable.initiating.peers.first().and_then(|peer| peer.method);
    let into = cable.receiving.peers.first().and_then(|peer| peer.method);
    match (out, into) {
        (Some(out), Some(into)) => {
            assert_eq!(cable.initiating.machine.phase(), Phase::Established);
            assert_eq!(cable.receiving.machine.phase(), Phase::Established);
            assert_eq!(
                cable.initiating.peers[0].stream_id,
                cable.receiving.peers[0].stream_id
            );
            Some((out, into))
        }
        (None, None) => {
            assert!(
                cable.initiating.failure.is_some() || cable.receiving.end.is_some(),
                "it hangs: {} / {}",
                cable.initiating.sent,
                cable.receiving.sent
            );
            None
        }
        halves => panic!("only one side believes it: {halves:?}"),
    }
}

struct Cable {
    initiating: Initiating,
    receiving: Receiving,
    /// What went over the wire before TLS.
    clear: String,
    heard: (usize, usize),
    verified: usize,
}

impl Cable {
    fn new(start: Start, ours: Answers, theirs: Answers) -> Self {
        let mut receiving = Receiving::to_alpha(start.clone(), theirs);
        let mut initiating = Initiating::new(start, ours);
        receiving.hold_tls = true;
        initiating.hold_tls = true;
        Self {
            initiating,
            receiving,
            clear: String::new(),
            heard: (0, 0),
            verified: 0,
        }
    }

    fn run(&mut self, reads: &[usize]) {
        let mut sizes = reads.iter().copied().cycle();
        loop {
            let size = sizes.next().unwrap_or(usize::MAX);
            if self.initiating.machine.phase() == Phase::Handshake
                && self.receiving.machine.phase() == Phase::Handshake
            {
                self.clear = format!("{}{}", self.initiating.raw, self.receiving.raw);
                self.initiating.machine.tls_established(tls());
                self.initiating.run();
                self.receiving.machine.tls_established(tls());
                self.receiving.run();
            } else if self.heard.0 < self.initiating.raw.len() {
                let end = self
                    .heard
                    .0
                    .saturating_add(size)
                    .min(self.initiating.raw.len());
                let piece = self.initiating.raw[self.heard.0..end].to_owned();
                self.heard.0 = end;
                self.receiving.machine.receive(piece.as_bytes());
                self.receiving.run();
            } else if self.heard.1 < self.receiving.raw.len() {
                let end = self
                    .heard
                    .1
                    .saturating_add(size)
                    .min(self.receiving.raw.len());
                let piece = self.receiving.raw[self.heard.1..end].to_owned();
                self.heard.1 = end;
                self.initiating.machine.receive(piece.as_bytes());
                self.initiating.run();
            } else if self.verified < self.receiving.verifications.len() {
                // As the authoritative server would answer.
                let asked = self.receiving.verifications[self.verified].clone();
                self.verified += 1;
                let verified = secret().verify(&asked);
                assert_eq!(verified, Verified::Valid, "the key is ours");
                self.receiving.machine.verified(asked, verified);
                self.receiving.run();
            } else {
                if self.clear.is_empty() && self.initiating.peers.iter().all(|p| p.tls.is_none()) {
                    self.clear = format!("{}{}", self.initiating.raw, self.receiving.raw);
                }
                return;
            }
        }
    }
}

#[test]
fn every_row_against_every_row() {
    let mut reached = [0; 4];
    for ours in ROWS.map(terms) {
        for theirs in ROWS.map(terms) {
            for case in 0..8 {
                let (direct, we, they) = (case & 1 != 0, case & 2 != 0, case & 4 != 0);
                if direct && (ours.tls == N || theirs.tls == N) {
                    continue;
                }
                let expected = expected(ours, theirs, direct, we, they);
                let came = talk(ours, theirs, direct, we, they, &[usize::MAX]);
                assert_eq!(came, expected, "{ours:?}\n{theirs:?}\n{direct} {we} {they}");
                reached[match came {
                    None => 0,
                    Some((Method::External(_), _)) => 1,
                    Some((Method::TlsDialback, _)) => 2,
                    Some((Method::TcpDialback, _)) => 3,
                }] += 1;
            }
        }
    }
    assert!(reached.iter().all(|count| *count > 10), "{reached:?}");
}

proptest! {
    #[test]
    fn however_bytes_are_cut(
        ours in 0..ROWS.len(),
        theirs in 0..ROWS.len(),
        direct: bool,
        we: bool,
        they: bool,
        reads in prop::collection::vec(1usize..200, 1..40),
    ) {
        let (ours, theirs) = (terms(ROWS[ours]), terms(ROWS[theirs]));
        let direct = direct && ours.tls != N && theirs.tls != N;
        prop_assert_eq!(
            talk(ours, theirs, direct, we, they, &reads),
            expected(ours, theirs, direct, we, they)
        );
    }
}
