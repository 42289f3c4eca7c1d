//! The imports: what a guest may ask the host.
//!
//! In: calls of a guest, hostile. Out: answers; recoverable errors are values of the WIT, since an
//! `Err` of wasmtime is a trap that costs the guest its store. A trap is given only for what no honest
//! plugin does: a handle that it was not lent, or `state` under a declared memo.

mod decisions;
mod emit;
mod peer;
mod services;
mod stanza;
mod state;

use wasmtime::component::{HasSelf, Linker};

use super::Guest;
use crate::bindings::portcullis::policy::{
    addresses, domains, emit as emission, files, hearing, journal, log, partners,
    state as remembered, types,
};

type Host<T> = wasmtime::Result<T>;

pub(super) fn link(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    types::add_to_linker::<_, HasSelf<Guest>>(linker, |guest| guest)?;
    remembered::add_to_linker::<_, HasSelf<Guest>>(linker, |guest| guest)?;
    journal::add_to_linker::<_, HasSelf<Guest>>(linker, |guest| guest)?;
    hearing::add_to_linker::<_, HasSelf<Guest>>(linker, |guest| guest)?;
    log::add_to_linker::<_, HasSelf<Guest>>(linker, |guest| guest)?;
    domains::add_to_linker::<_, HasSelf<Guest>>(linker, |guest| guest)?;
    partners::add_to_linker::<_, HasSelf<Guest>>(linker, |guest| guest)?;
    emission::add_to_linker::<_, HasSelf<Guest>>(linker, |guest| guest)?;
    addresses::add_to_linker::<_, HasSelf<Guest>>(linker, |guest| guest)?;
    files::add_to_linker::<_, HasSelf<Guest>>(linker, |guest| guest)
}

impl types::Host for Guest {}

fn saturate(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
