//! The other end of streams: finds the labels of stanzas in what comes, and nothing else, so that the
//! generator needs less than what it measures.

use std::sync::Arc;

use memchr::memmem::Finder;
use tokio::io::{AsyncRead, AsyncReadExt as _};

use crate::stanzas::{LABEL, MARK, label};
use crate::tally::Tally;

const BUFFER: usize = 64 * 1024;

/// Reads until the stream ends. `text` was read with the negotiation.
pub(crate) async fn run<IO: AsyncRead + Unpin>(
    mut io: IO,
    text: Vec<u8>,
    tallies: Arc<Vec<Arc<Tally>>>,
) {
    let finder = Finder::new(MARK);
    let mut buffer = text;
    buffer.reserve(BUFFER);
    let mut numbers: Vec<u64> = Vec::new();
    loop {
        let mut done = 0;
        let mut of = None;
        while let Some(at) = finder.find(&buffer[done..]) {
            let start = done + at + MARK.len();
            if buffer.len() < start + LABEL {
                done += at;
                break;
            }
            if let Some((stream, number)) = label(&buffer[start..]) {
                if of.is_some_and(|of| of != stream) {
                    tallies[usize::from(of.unwrap())].arrive(&numbers);
                    numbers.clear();
                }
                of = Some(stream);
                numbers.push(number);
            }
            done = start;
        }
        if let Some(stream) = of {
            tallies[usize::from(stream)].arrive(&numbers);
            numbers.clear();
        }
        // A mark may be cut in two by the end of what was read.
        let keep = match finder.find(&buffer[done..]) {
            Some(at) => done + at,
            None => buffer.len().saturating_sub(MARK.len() - 1).max(done),
        };
        buffer.drain(..keep);
        match io.read_buf(&mut buffer).await {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
    }
}
