//! A list: one entry a line, `PATTERN [END] [# comment]`.

use std::collections::HashMap;

use portcullis_plugin::clock::Moment;
use portcullis_plugin::prelude::*;

/// What the entries mean, by how they are looked up: a list of a hundred thousand domains costs no more
/// for a stanza than one of ten.
#[derive(Debug, Default)]
pub(crate) struct List {
    /// `spam.test`
    domains: Ends,
    /// `*.spam.test`, without the asterisk and its dot
    below: Ends,
    /// `eve@spam.test`
    addresses: Ends,
    /// `info*@spam.test`, and `*`: asked one by one
    patterns: Vec<(AddressPattern, Option<Moment>)>,
}

/// When an entry ends; none: never.
type Ends = HashMap<String, Option<Moment>>;

impl List {
    /// Reads the files of these names.
    pub(crate) fn read(names: &[String]) -> Result<Self, String> {
        let mut list = Self::default();
        for name in names {
            for (number, line) in files::text(name)?.lines().enumerate() {
                list.add(line)
                    .map_err(|error| format!("file `{name}`, line {}: {error}", number + 1))?;
            }
        }
        Ok(list)
    }

    fn add(&mut self, line: &str) -> Result<(), String> {
        let entry = line.split('#').next().unwrap_or_default();
        let mut words = entry.split_whitespace();
        let Some(pattern) = words.next() else {
            return Ok(());
        };
        let end = words.next().map(Moment::parse).transpose()?;
        if let Some(word) = words.next() {
            return Err(format!("`{word}` behind the end (comments begin with #)"));
        }
        let one_by_one = pattern == "*" || pattern.split('@').next().is_some_and(is_glob);
        match (pattern.split_once('@'), pattern.strip_prefix("*.")) {
            (Some((local, domain)), _) if !is_glob(local) && !domain.starts_with('*') => {
                let address = Address::parse(pattern)?;
                if address.resource().is_some() {
                    return Err(format!("`{pattern}`: an entry has no resource"));
                }
                later(&mut self.addresses, address.bare().to_owned(), end);
            }
            (None, Some(parent)) => later(&mut self.below, normal(parent)?, end),
            (None, None) if !one_by_one => {
                later(&mut self.domains, normal(pattern)?, end);
            }
            _ => self.patterns.push((AddressPattern::parse(pattern)?, end)),
        }
        Ok(())
    }

    /// How many entries there are.
    pub(crate) fn len(&self) -> usize {
        self.all().count()
    }

    /// How many of them are over.
    pub(crate) fn ended(&self, now: Moment) -> usize {
        self.all().filter(|end| !holds(end, now)).count()
    }

    /// Whether an entry means this address.
    pub(crate) fn has(&self, address: &Address, now: Moment) -> bool {
        self.addresses
            .get(address.bare())
            .is_some_and(|end| holds(end, now))
            || self.has_domain(address.domain(), now)
            || self.any_pattern(now, |pattern| pattern.matches(address))
    }

    /// Whether an entry means everybody at this domain.
    pub(crate) fn has_domain(&self, domain: &str, now: Moment) -> bool {
        let here = self.domains.get(domain).is_some_and(|end| holds(end, now));
        let parents = domain.char_indices().filter(|(_, sign)| *sign == '.');
        let above = parents
            .filter_map(|(dot, _)| self.below.get(domain.get(dot + 1..)?))
            .any(|end| holds(end, now));
        here || above
            || self.any_pattern(now, |pattern| {
                pattern
                    .domain()
                    .is_some_and(|pattern| pattern.matches(domain))
            })
    }

    /// Whether an entry means somebody at this domain, but not everybody.
    pub(crate) fn has_somebody_at(&self, domain: &str, now: Moment) -> bool {
        let at = |address: &str| address.split_once('@').is_some_and(|(_, at)| at == domain);
        let somebody = self
            .addresses
            .iter()
            .any(|(address, end)| at(address) && holds(end, now));
        somebody || self.any_pattern(now, |pattern| pattern.domain().is_none())
    }

    fn any_pattern(&self, now: Moment, means: impl Fn(&AddressPattern) -> bool) -> bool {
        self.patterns
            .iter()
            .any(|(pattern, end)| holds(end, now) && means(pattern))
    }

    fn all(&self) -> impl Iterator<Item = &Option<Moment>> {
        let maps = [&self.domains, &self.below, &self.addresses];
        let patterns = self.patterns.iter().map(|(_, end)| end);
        maps.into_iter().flat_map(HashMap::values).chain(patterns)
    }
}

/// Of two entries that mean the same the later end holds.
fn later(ends: &mut Ends, key: String, end: Option<Moment>) {
    let old = ends.entry(key).or_insert(end);
    *old = old.zip(end).map(|(old, end)| old.max(end));
}

fn holds(end: &Option<Moment>, now: Moment) -> bool {
    end.is_none_or(|end| now < end)
}

fn normal(domain: &str) -> Result<String, String> {
    domains::normalize(domain).map_err(|why| format!("`{domain}` is no domain: {why}"))
}

fn is_glob(local: &str) -> bool {
    local.contains(['*', '?'])
}
