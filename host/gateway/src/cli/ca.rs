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
    let Ca::Init {
        dir,
        domains,
        servers,
    } = arguments;
    let terminal = Terminal::new();
    let plan = match plan(domains, servers) {
        Ok(plan) => plan,
        Err(problem) => {
            terminal.mark(Level::Problem, &problem, None);
            return Exit::Problem;
        }
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

fn plan(domains: &[String], servers: &[String]) -> Result<Plan, String> {
    let domains = parse(domains.iter().map(String::as_str))?;
    if servers.is_empty() {
        return Ok(Plan {
            servers: vec![domains.clone()],
            domains,
        });
    }
    let servers = servers
        .iter()
        .map(|server| parse(server.split(',').map(str::trim)))
        .collect::<Result<Vec<_>, _>>()?;
    match servers
        .iter()
        .flatten()
        .find(|name| !domains.contains(name))
    {
        Some(name) => Err(format!(
            "--server names {name}, which is not among the domains: add --domain {name}"
        )),
        None => Ok(Plan { domains, servers }),
    }
}

fn parse<'a>(texts: impl Iterator<Item = &'a str>) -> Result<Vec<Domain>, String> {
    texts
        .map(|text| {
            Domain::parse(text).map_err(|error| format!("\"{text}\" is not a domain: {error}"))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|&text| text.to_owned()).collect()
    }

    #[test]
    fn one_server_has_all_domains_unless_told_otherwise() {
        let domains = texts(&["org.test", "chat.org.test"]);
        let plan = plan(&domains, &[]).unwrap();
        assert_eq!(plan.servers, [plan.domains]);
    }

    #[test]
    fn each_server_gets_a_certificate_of_its_own() {
        let domains = texts(&["org.test", "chat.org.test", "lab.test"]);
        let plan = plan(&domains, &texts(&["org.test, chat.org.test", "lab.test"])).unwrap();
        assert_eq!(plan.domains.len(), 3);
        assert_eq!(
            plan.servers.iter().map(Vec::len).collect::<Vec<_>>(),
            [2, 1]
        );
    }

    #[test]
    fn a_servers_domain_that_is_not_served_is_named() {
        let problem = plan(&texts(&["org.test"]), &texts(&["lab.test"])).unwrap_err();
        assert!(problem.contains("add --domain lab.test"), "{problem}");
    }
}
