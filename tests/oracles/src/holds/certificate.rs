//! Names of certificates.

use portcullis_xmpp::{Domain, identity::Names};

/// Any bytes, taken as a certificate and as the list of names in one: nothing panics, a wildcard stands
/// for one label, and a common name for none.
pub fn identity(data: &[u8]) {
    // A certificate authority that writes this very label is no accident of ours.
    const LABEL: &str = "x9q7";
    if data
        .windows(LABEL.len())
        .any(|part| part == LABEL.as_bytes())
    {
        return;
    }
    for names in [Names::of(data), Names::of(&certificate(data))] {
        let Ok(names) = names else { continue };
        assert!(!names.to_string().is_empty());
        for name in ["a.test", "x.a.test", "test", "b.c.example"] {
            let domain = |text: &str| Domain::parse(text).ok();
            let proven =
                |domain: Option<Domain>| domain.is_some_and(|domain| names.proves(&domain));
            assert!(!names.is_empty() || !proven(domain(name)));
            let below = proven(domain(&format!("{LABEL}.{name}")));
            assert!(!below || name.contains('.'), "a wildcard for all of {name}");
            assert!(
                !proven(domain(&format!("{LABEL}.{LABEL}.{name}"))),
                "two labels below {name}"
            );
        }
    }
}

/// A certificate with nothing but this list of names; the common name is a.test.
fn certificate(names: &[u8]) -> Vec<u8> {
    const INTEGER: u8 = 0x02;
    const BITS: u8 = 0x03;
    const OCTETS: u8 = 0x04;
    const OID: u8 = 0x06;
    const UTF8: u8 = 0x0c;
    const TIME: u8 = 0x17;
    const SEQUENCE: u8 = 0x30;
    const SET: u8 = 0x31;
    let algorithm = || der(SEQUENCE, &[&der(OID, &[&[0x2b, 0x65, 0x70]])]);
    let common_name = || {
        let attribute = [der(OID, &[&[0x55, 0x04, 0x03]]), der(UTF8, &[b"a.test"])];
        der(
            SEQUENCE,
            &[&der(SET, &[&der(SEQUENCE, &[&attribute.concat()])])],
        )
    };
    let time = |text: &[u8]| der(TIME, &[text]);
    let validity = der(
        SEQUENCE,
        &[&time(b"200101000000Z"), &time(b"400101000000Z")],
    );
    let key = der(SEQUENCE, &[&algorithm(), &der(BITS, &[&[0; 33]])]);
    let list = der(OCTETS, &[&der(SEQUENCE, &[names])]);
    let extension = der(SEQUENCE, &[&der(OID, &[&[0x55, 0x1d, 0x11]]), &list]);
    let extensions = der(0xa3, &[&der(SEQUENCE, &[&extension])]);
    let version = der(0xa0, &[&der(INTEGER, &[&[2]])]);
    let serial = der(INTEGER, &[&[1]]);
    let content = [
        version,
        serial,
        algorithm(),
        common_name(),
        validity,
        common_name(),
        key,
        extensions,
    ];
    let content = der(SEQUENCE, &[&content.concat()]);
    der(SEQUENCE, &[&content, &algorithm(), &der(BITS, &[&[0; 65]])])
}

fn der(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    let mut bytes = vec![tag];
    let length = content.len().to_be_bytes();
    match content.len() {
        n @ 0..=0x7f => bytes.extend(u8::try_from(n)),
        n => {
            let used = length.len() - n.leading_zeros() as usize / 8;
            bytes.extend(u8::try_from(used).map(|used| 0x80 | used));
            bytes.extend(length.iter().skip(length.len() - used));
        }
    }
    bytes.extend(content);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_certificate_around_the_names_can_be_read() {
        let names = [&[0x82, 6], &b"a.test"[..], &[0x82, 8], b"*.b.test"].concat();
        let names = Names::of(&certificate(&names)).unwrap();
        assert!(names.proves(&Domain::parse("a.test").unwrap()));
        assert!(names.proves(&Domain::parse("c.b.test").unwrap()));
        let long = [&[0x82, 0x82, 1, 0], &[b'a'; 256][..]].concat();
        assert!(Names::of(&certificate(&long)).is_ok());
        assert!(Names::of(&certificate(b"")).unwrap().is_empty());
    }
}
