//! The baselines, in a process of their own.

use std::net::SocketAddr;

use clap::ValueEnum as _;

use super::{Certificates, OWN, RELAY, Target};
use crate::arguments::{Duty, Subject};
use crate::process::Program;

pub(super) fn start(
    subject: &Subject,
    certificates: &Certificates,
    to: SocketAddr,
    duty: Duty,
) -> Target {
    // Both sides believe the same authority, and the relay shows each what it wants to see.
    let identity = certificates.pki.partner(&[OWN, RELAY]);
    let arguments = [
        "relay".to_owned(),
        "--duty".to_owned(),
        duty.to_possible_value().unwrap().get_name().to_owned(),
        "--identity".to_owned(),
        identity.file.display().to_string(),
        identity.key_file.display().to_string(),
        "--trust".to_owned(),
        certificates.pki.public.file.display().to_string(),
        "--to".to_owned(),
        to.to_string(),
        "--name".to_owned(),
        "end.load.test".to_owned(),
    ];
    let relay = Program {
        program: std::env::current_exe().unwrap(),
        arguments: arguments.to_vec(),
        environment: Vec::new(),
        log: certificates.path().join("relay.log"),
        processors: subject.processors,
    };
    let (process, address) = relay.until_it_says_so();
    let address = address.parse().unwrap();
    Target {
        process,
        outside: address,
        inside: address,
        component: None,
    }
}
