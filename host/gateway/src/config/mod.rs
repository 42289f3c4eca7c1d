//! The configuration: one TOML file in, plain typed values out.
//!
//! In flows the text of one file and of those in its `partners_dir`; nothing else is opened, so a
//! `Config` says what the operator wants, not whether the certificates, plugins and ports of it are
//! any good (`check` tries those).
//! Out flows a [`Config`] in which every domain is normalised, every path absolute and every rule
//! that needs no file kept; or a [`Rejected`] with *every* problem found, each with its place.
//! Unknown keys, and values whose behaviour does not exist yet, are problems: nothing is ignored.
//! docs/configuration.md explains every key.

mod claims;
mod federation;
mod internal;
mod matrix;
mod misfit;
mod model;
mod partner;
mod plugin;
mod policy;
mod problem;
mod read;
mod record;
mod restart;
mod section;
mod shape;
mod shared;
mod sources;
mod values;

pub use matrix::{Invalid, Methods};
pub use misfit::{misfits, told};
pub use model::{
    Admin, Config, Dns, Federation, Gateway, Host, HostPort, Identity, Internal, Limits, Mint,
    Mode, OnFailure, Plugin, Revocation, Secret, Server, ServerTls, Timeouts, Trust,
};
pub use problem::{Place, Problem, Rejected, Severity, Source};
pub use read::Loaded;
pub use record::{Flow, Kinds, Need, Partner, PartnerType, Pin, Rate};
pub(crate) use values::host_port;

#[cfg(test)]
mod tests;

/// The text with what stands behind `dialback_secret` covered, byte for byte, so that places stay
/// where they are. Terminals are recorded, and `check` shows lines of the file.
fn masked(text: &str) -> String {
    let mut covered = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(found) = rest.find("dialback_secret") {
        let (before, from) = rest.split_at(found);
        let end = from.find('\n').unwrap_or(from.len());
        let (line, after) = from.split_at(end);
        let (key, value) = line.split_at(line.find('=').map_or(line.len(), |equals| equals + 1));
        covered.push_str(before);
        covered.push_str(key);
        covered.extend(value.bytes().map(|_| '*'));
        rest = after;
    }
    covered.push_str(rest);
    covered
}
