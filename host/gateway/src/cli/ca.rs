//! `ca init`

use portcullis_xmpp::jid::Domain;

use super::{
    args::Ca,
    exit::Exit,
    terminal::{Level, Terminal},
};
use crate::tls::ca::{self, Plan};

/// Makes the authorities.
pub(crate) fn ca(arguments: &Ca) -> Exit {
    let Ca::Init { dir, domains } = arguments;
    let terminal = Terminal::new();
    let mut parsed = Vec::new();
    for text in domains {
        match Domain::parse(text) {
            Ok(domain) => parsed.push(domain),
            Err(error) => {
                terminal.mark(
                    Level::Problem,
                    &format!("\"{text}\" is not a domain: {error}"),
                    None,
                );
                return Exit::Problem;
            }
        }
    }
    let plan = Plan {
        servers: vec![parsed.clone()],
        domains: parsed,
    };
    match ca::init(dir, &plan) {
        Ok(outcomes) => {
            for outcome in outcomes {
                let file = outcome.file.display();
                let state = if outcome.made {
                    ""
                } else {
                    " (was there, left as it is)"
                };
                terminal.mark(
                    Level::Ok,
                    &format!("{file}{state}\n{}", outcome.purpose),
                    None,
                );
            }
            Exit::Well
        }
        Err(error) => {
            terminal.mark(Level::Problem, &error.to_string(), None);
            Exit::Problem
        }
    }
}
