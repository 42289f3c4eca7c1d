//! Subscription traffic: who may invite whom, by the partner's type.
//!
//! From a `federated` or `public-verified` partner invitations come in as they go out. With a
//! `public-unverified` one, where anyone can have an account, someone of the organisation must have
//! invited the contact first; what was invited is remembered until it is taken back. An answer and
//! the end of a subscription always pass, or the two rosters would come to differ.

use portcullis_plugin::prelude::*;

use crate::config::Terms;
use crate::memory::{self, Failure, Table};

/// Judges `subscribe`, `subscribed`, `unsubscribe` and `unsubscribed`.
pub(crate) fn decide(terms: &Terms, header: &Header) -> Verdict {
    match (header.direction(), header.subtype()) {
        // Both say that the contact is welcome. Remembered for partners of every type, so that a
        // change of the type finds the contacts that there are.
        (Direction::Outbound, Subtype::Subscribe | Subtype::Subscribed) => {
            note(memory::remember_invitation(header), header);
        }
        (Direction::Outbound, Subtype::Unsubscribed) => note(
            memory::forget(
                Table::Invited,
                Direction::Outbound,
                header.from_bare(),
                header.to_bare(),
            ),
            header,
        ),
        (Direction::Inbound, Subtype::Subscribe)
            if terms.partner_type(header.partner()) == PartnerType::PublicUnverified
                && !is_invited(header) =>
        {
            return refuse(header);
        }
        _ => {}
    }
    Verdict::pass()
}

/// In doubt, nobody is invited.
fn is_invited(header: &Header) -> bool {
    let (user, contact) = (header.to_bare(), header.from_bare());
    memory::knows(Table::Invited, Direction::Outbound, user, contact).unwrap_or_else(|failure| {
        log::error!(
            "who of {} is invited cannot be read: {failure}",
            header.partner()
        );
        false
    })
}

/// Stops a request and answers it in the user's name, whether there is such a user or not: otherwise
/// the contact's list would show "pending" for ever (PRS-03), and an error would tell who exists.
fn refuse(header: &Header) -> Verdict {
    if let Err(error) = emit::unsubscribed(header.to_bare(), header.from_bare()) {
        log::warn!(
            "a request from {} stays without an answer: {error}",
            header.partner()
        );
    }
    Verdict::drop(format!(
        "{} is public-unverified: invitations go out only",
        header.partner()
    ))
}

/// The traffic passes all the same: what is lost is that the contact may invite back.
fn note(result: Result<(), Failure>, header: &Header) {
    if let Err(failure) = result {
        log::error!(
            "an invitation to {} is not remembered: {failure}",
            header.partner()
        );
    }
}
