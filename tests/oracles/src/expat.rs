//! expat, bound by hand: the nine functions that reading a stream takes.
//!
//! This is the only unsafe code of the repository, and in tests alone. What makes it sound:
//! - a parser is made, used and freed by one function on one thread, and expat calls back only from
//!   within `XML_Parse`;
//! - the user data is a [`State`] that outlives the parser, and nothing else holds a reference to it
//!   while `XML_Parse` runs;
//! - every pointer that expat hands to a callback lives as long as the callback (expat's reference:
//!   names and values are zero-terminated UTF-8, the attributes an array of pairs that a null ends,
//!   and text has a length);
//! - a callback does not panic, so that nothing unwinds through C.
#![allow(unsafe_code, reason = "a C library is called; see above")]

use std::ffi::{CStr, c_char, c_int, c_uchar, c_void};

use crate::tree::{Builder, End, Read};

/// What expat puts between namespace and name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Separator {
    /// U+0001, as in Prosody: no XML has it, so it is never mistaken.
    Never,
    /// A line feed, as in ejabberd.
    LineFeed,
}

impl Separator {
    fn character(self) -> char {
        match self {
            Self::Never => '\u{1}',
            Self::LineFeed => '\n',
        }
    }
}

#[repr(C)]
struct Parser {
    _opaque: [u8; 0],
}

type StartElement = extern "C" fn(*mut c_void, *const c_char, *const *const c_char);
type EndElement = extern "C" fn(*mut c_void, *const c_char);
type CharacterData = extern "C" fn(*mut c_void, *const c_char, c_int);
type StartDoctype = extern "C" fn(*mut c_void, *const c_char, *const c_char, *const c_char, c_int);

// By its own name, so that the runtime package alone will do.
#[link(name = "libexpat.so.1", kind = "dylib", modifiers = "+verbatim")]
unsafe extern "C" {
    fn XML_ParserCreateNS(encoding: *const c_char, separator: c_char) -> *mut Parser;
    fn XML_ParserFree(parser: *mut Parser);
    fn XML_SetUserData(parser: *mut Parser, data: *mut c_void);
    fn XML_SetElementHandler(parser: *mut Parser, start: StartElement, end: EndElement);
    fn XML_SetCharacterDataHandler(parser: *mut Parser, handler: CharacterData);
    fn XML_SetStartDoctypeDeclHandler(parser: *mut Parser, handler: StartDoctype);
    fn XML_StopParser(parser: *mut Parser, resumable: c_uchar) -> c_int;
    fn XML_Parse(parser: *mut Parser, text: *const c_char, length: c_int, last: c_int) -> c_int;
    #[cfg(test)]
    fn XML_ExpatVersion() -> *const c_char;
}

struct State {
    builder: Builder,
    separator: char,
    parser: *mut Parser,
}

/// What expat reads. At a document type it stops: entities are of no use to anybody here.
pub(crate) fn read(bytes: &[u8], separator: Separator) -> Read {
    let Ok(length) = c_int::try_from(bytes.len()) else {
        return refused();
    };
    let separator = separator.character();
    let Ok(byte) = c_char::try_from(u32::from(separator)) else {
        return refused();
    };
    // SAFETY: the encoding is a zero-terminated text; what comes back is checked.
    let parser = unsafe { XML_ParserCreateNS(c"UTF-8".as_ptr(), byte) };
    if parser.is_null() {
        return refused();
    }
    let mut state = State {
        builder: Builder::new(),
        separator,
        parser,
    };
    let data: *mut State = &raw mut state;
    // SAFETY: `parser` is one, and freed here alone, after its last use. `data` points to `state`, which
    // is not touched until `XML_Parse` has returned. `bytes` has `length` bytes.
    let status = unsafe {
        XML_SetUserData(parser, data.cast());
        XML_SetElementHandler(parser, start, end);
        XML_SetCharacterDataHandler(parser, text);
        XML_SetStartDoctypeDeclHandler(parser, doctype);
        let status = XML_Parse(parser, bytes.as_ptr().cast(), length, 0);
        XML_ParserFree(parser);
        status
    };
    let mut read = state.builder.read;
    // After the stream's end, what follows is no matter.
    if status != 1 && read.end != End::Closed {
        read.end = End::Refused;
    }
    read
}

fn refused() -> Read {
    let mut read = Builder::new().read;
    read.end = End::Refused;
    read
}

extern "C" fn start(data: *mut c_void, name: *const c_char, attributes: *const *const c_char) {
    // SAFETY: `data` is the state of the call to `XML_Parse` that we are in.
    let state = unsafe { &mut *data.cast::<State>() };
    // SAFETY: a name is a text.
    let name = unsafe { owned(name) };
    let mut read = Vec::new();
    let mut at = attributes;
    loop {
        // SAFETY: the array has pairs, and a null where the next pair's name would be.
        let (name, value) = unsafe {
            let name = *at;
            if name.is_null() {
                break;
            }
            let pair = (owned(name), owned(*at.add(1)));
            at = at.add(2);
            pair
        };
        let (ns, local) = split(&name, state.separator);
        read.push((ns, local, value));
    }
    let name = split(&name, state.separator);
    state.builder.start(name, read);
}

extern "C" fn end(data: *mut c_void, _name: *const c_char) {
    // SAFETY: as in `start`.
    let state = unsafe { &mut *data.cast::<State>() };
    state.builder.end();
}

extern "C" fn text(data: *mut c_void, text: *const c_char, length: c_int) {
    let Ok(length) = usize::try_from(length) else {
        return;
    };
    // SAFETY: as in `start`; the text has so many bytes.
    let (state, bytes) = unsafe {
        (
            &mut *data.cast::<State>(),
            std::slice::from_raw_parts(text.cast::<u8>(), length),
        )
    };
    state.builder.text(&String::from_utf8_lossy(bytes));
}

extern "C" fn doctype(
    data: *mut c_void,
    _name: *const c_char,
    _system: *const c_char,
    _public: *const c_char,
    _internal: c_int,
) {
    // SAFETY: as in `start`; the parser is the one that calls, and may be stopped from here.
    unsafe {
        let state = &mut *data.cast::<State>();
        XML_StopParser(state.parser, 0);
    }
}

/// # Safety
/// The pointer must be null or lead to a zero-terminated text.
unsafe fn owned(text: *const c_char) -> String {
    if text.is_null() {
        return String::new();
    }
    // SAFETY: promised by the caller.
    unsafe { CStr::from_ptr(text) }
        .to_string_lossy()
        .into_owned()
}

/// The separator cannot stand in a name, so the last one is it.
fn split(name: &str, separator: char) -> (String, String) {
    let (ns, local) = name.rsplit_once(separator).unwrap_or(("", name));
    (ns.to_owned(), local.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expat_is_one_that_knows_of_separators() {
        // SAFETY: a constant text of the library.
        let version = unsafe { owned(XML_ExpatVersion()) };
        let numbers: Vec<u32> = version
            .trim_start_matches("expat_")
            .split('.')
            .filter_map(|number| number.parse().ok())
            .collect();
        assert!(numbers >= vec![2, 4, 5], "{version}");
        let read = read(b"<a xmlns='u&#10;v'>", Separator::LineFeed);
        assert_eq!(read.end, End::Refused);
    }
}
