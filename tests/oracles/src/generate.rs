//! Streams, written in all the ways that XML allows, and spoiled in all the ways that attackers know.

mod pieces;
mod spoil;

use pieces::{
    AWKWARD, EQUALS, HEADERS, NAMES, NAMESPACES, ODD_NAMESPACES, PREFIXES, REFERENCES, SPACES,
    VALUES, WORDS,
};

use crate::Random;

/// The stream of this number: one of four is as it should be, the others have up to four faults.
pub fn input(seed: u64) -> Vec<u8> {
    let mut random = Random::new(seed);
    let mut bytes = stream(&mut random);
    if !random.once_in(4) {
        let other = stream(&mut random);
        for _ in 0..=random.below(4) {
            spoil::spoil(&mut random, &mut bytes, &other);
        }
    }
    bytes
}

/// These bytes with up to four faults, the same for the same number.
pub fn spoiled(seed: u64, bytes: &[u8]) -> Vec<u8> {
    let mut random = Random::new(seed);
    let mut spoiled = bytes.to_vec();
    for _ in 0..=random.below(4) {
        spoil::spoil(&mut random, &mut spoiled, bytes);
    }
    spoiled
}

/// A stream of a few elements.
pub fn stream(random: &mut Random) -> Vec<u8> {
    let mut maker = Maker {
        random,
        out: String::new(),
        scope: Vec::new(),
    };
    maker.stream();
    maker.out.into_bytes()
}

struct Maker<'r> {
    random: &'r mut Random,
    out: String,
    /// The prefixes that are declared.
    scope: Vec<&'static str>,
}

impl Maker<'_> {
    fn stream(&mut self) {
        let (open, close, prefixes) = HEADERS
            .get(self.random.below(HEADERS.len()))
            .copied()
            .unwrap_or_default();
        self.scope.extend_from_slice(prefixes);
        self.out.push_str(open);
        for name in ["from", "to", "id", "xml:lang"] {
            if self.random.once_in(3) {
                self.attribute(name);
            }
        }
        for prefix in ["p", "db"] {
            if self.random.once_in(3) && !open.contains(&format!("xmlns:{prefix}=")) {
                self.declaration(prefix);
            }
        }
        self.out.push('>');
        for _ in 0..=self.random.below(4) {
            if self.random.once_in(4) {
                self.pick(SPACES);
            }
            self.element(0);
        }
        if self.random.once_in(3) {
            self.out.push_str(close);
            self.pick(SPACES);
        }
    }

    fn pick(&mut self, of: &[&'static str]) {
        let one = self.random.one(of);
        self.out.push_str(one);
    }

    fn element(&mut self, depth: usize) {
        let scope = self.scope.len();
        let mut declarations = Vec::new();
        for _ in 0..self.random.below(3) {
            let prefix = self.random.one(PREFIXES);
            if !declarations.contains(&prefix) {
                declarations.push(prefix);
            }
        }
        self.scope.extend_from_slice(&declarations);
        let mut name = self.random.one(NAMES).to_owned();
        // Stanzas with a prefix are refused.
        if self.random.once_in(if depth == 0 { 20 } else { 2 }) {
            name = self.qualified(&name);
        }
        self.out.push('<');
        self.out.push_str(&name);
        for prefix in declarations {
            self.declaration(prefix);
        }
        let mut written: Vec<String> = Vec::new();
        for _ in 0..self.random.below(5) {
            let local = self.random.one(NAMES);
            let name = match self.random.below(6) {
                0 => self.qualified(local),
                1 => String::from("xml:lang"),
                _ => local.to_owned(),
            };
            if name.starts_with("xmlns") || (written.contains(&name) && !self.random.once_in(20)) {
                continue;
            }
            self.attribute(&name);
            written.push(name);
        }
        if self.random.once_in(4) {
            self.pick(SPACES);
        }
        if self.random.once_in(3) {
            self.out.push_str("/>");
        } else {
            self.out.push('>');
            for _ in 0..self.random.below(5) {
                match self.random.below(4) {
                    0 if depth < 5 => self.element(depth + 1),
                    1 => self.cdata(),
                    2 => self.pick(REFERENCES),
                    _ => self.text(None),
                }
            }
            self.out.push_str("</");
            self.out.push_str(&name);
            if self.random.once_in(6) {
                self.pick(SPACES);
            }
            self.out.push('>');
        }
        self.scope.truncate(scope);
    }

    /// With a prefix that is declared, mostly.
    fn qualified(&mut self, local: &str) -> String {
        let odd = self.random.once_in(200);
        let prefix = match self.scope.get(self.random.below(self.scope.len())) {
            _ if odd => self.random.one(PREFIXES),
            Some(prefix) => prefix,
            None => "",
        };
        match prefix {
            "" => local.to_owned(),
            prefix => format!("{prefix}:{local}"),
        }
    }

    fn declaration(&mut self, prefix: &str) {
        self.pick(SPACES);
        self.out.push_str("xmlns");
        if !prefix.is_empty() {
            self.out.push(':');
            self.out.push_str(prefix);
        }
        self.pick(EQUALS);
        let ns = match self.random.below(200) {
            0 => self.random.one(ODD_NAMESPACES),
            _ => self.random.one(NAMESPACES),
        };
        // Only the default namespace can be undeclared.
        let ns = if ns.is_empty() && !prefix.is_empty() {
            "urn:p"
        } else {
            ns
        };
        let quote = self.quote();
        self.out.push(quote);
        self.out.push_str(&ns.replace(quote, ""));
        self.out.push(quote);
    }

    fn attribute(&mut self, name: &str) {
        self.pick(SPACES);
        self.out.push_str(name);
        self.pick(EQUALS);
        let quote = self.quote();
        self.out.push(quote);
        for _ in 0..self.random.below(4) {
            match self.random.below(3) {
                0 => self.pick(VALUES),
                1 => self.pick(REFERENCES),
                _ => self.text(Some(quote)),
            }
        }
        self.out.push(quote);
    }

    fn quote(&mut self) -> char {
        if self.random.once_in(2) { '\'' } else { '"' }
    }

    fn text(&mut self, quote: Option<char>) {
        let text = if self.random.once_in(2) {
            self.random.one(AWKWARD)
        } else {
            self.random.one(WORDS)
        };
        match quote {
            Some(quote) => self.out.push_str(&text.replace(quote, "")),
            None => self.out.push_str(text),
        }
    }

    fn cdata(&mut self) {
        self.out.push_str("<![CDATA[");
        for _ in 0..self.random.below(3) {
            let text = match self.random.below(3) {
                0 => self
                    .random
                    .one(&["<", "</a>", "&", "]]", "]", "&amp;", "<![CDATA["]),
                1 => self.random.one(AWKWARD),
                _ => self.random.one(WORDS),
            };
            self.out.push_str(text);
        }
        self.out.push_str("]]>");
    }
}
