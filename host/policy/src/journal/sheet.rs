//! Writing whole lines or nothing.
//!
//! In: bytes that belong together. Out: all of them at the end of the file, or the file as it was. A
//! write that fails halfway (a full disk) is cut off again; if even that fails, it is cut off before
//! the next write.

use std::fs::File;
use std::io::{self, Write as _};

/// What a sheet is written on. A file; tests have one that runs full.
pub(super) trait Medium {
    /// Writes all bytes at the end, or fails after some of them.
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()>;
    /// Cuts off what is beyond `len` bytes.
    fn truncate(&mut self, len: u64) -> io::Result<()>;
}

impl Medium for File {
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        io::Write::write_all(self, bytes)?;
        self.flush()
    }

    fn truncate(&mut self, len: u64) -> io::Result<()> {
        self.set_len(len)
    }
}

#[derive(Debug)]
pub(super) struct Sheet<M> {
    medium: M,
    /// Bytes that are whole.
    len: u64,
    /// Whether there may be more than these.
    torn: bool,
}

impl<M: Medium> Sheet<M> {
    /// Continues a medium that holds `len` bytes. It must write at its end (`O_APPEND`).
    pub(super) fn new(medium: M, len: u64) -> Self {
        Self {
            medium,
            len,
            torn: false,
        }
    }

    pub(super) fn len(&self) -> u64 {
        self.len
    }

    pub(super) fn medium(&self) -> &M {
        &self.medium
    }

    pub(super) fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.torn {
            self.medium.truncate(self.len)?;
        }
        self.torn = true;
        match self.medium.write_all(bytes) {
            Ok(()) => {
                self.len += bytes.len() as u64;
                self.torn = false;
                Ok(())
            }
            Err(error) => {
                self.torn = self.medium.truncate(self.len).is_err();
                Err(error)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Room for some bytes; a write that does not fit fills it up first, as a disk does.
    struct Small {
        bytes: Vec<u8>,
        room: usize,
        frozen: bool,
    }

    impl Medium for Small {
        fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
            let fits = bytes.len().min(self.room - self.bytes.len());
            self.bytes.extend_from_slice(&bytes[..fits]);
            match fits == bytes.len() {
                true => Ok(()),
                false => Err(io::ErrorKind::StorageFull.into()),
            }
        }

        fn truncate(&mut self, len: u64) -> io::Result<()> {
            if self.frozen {
                return Err(io::ErrorKind::StorageFull.into());
            }
            self.bytes.truncate(usize::try_from(len).unwrap());
            Ok(())
        }
    }

    fn sheet() -> Sheet<Small> {
        let medium = Small {
            bytes: Vec::new(),
            room: 10,
            frozen: false,
        };
        Sheet::new(medium, 0)
    }

    #[test]
    fn a_write_that_does_not_fit_leaves_nothing_behind() {
        let mut sheet = sheet();
        sheet.put(b"first\n").unwrap();
        assert_eq!(
            sheet.put(b"second\n").unwrap_err().kind(),
            io::ErrorKind::StorageFull
        );
        assert_eq!(sheet.medium().bytes, b"first\n");
        sheet.medium.room = 100;
        sheet.put(b"third\n").unwrap();
        assert_eq!(sheet.medium().bytes, b"first\nthird\n");
    }

    #[test]
    fn what_could_not_be_cut_off_at_once_is_cut_off_before_the_next_write() {
        let mut sheet = sheet();
        sheet.put(b"first\n").unwrap();
        sheet.medium.frozen = true;
        sheet.put(b"second\n").unwrap_err();
        assert_eq!(sheet.medium().bytes, b"first\nseco");
        sheet.medium.room = 100;
        sheet.put(b"third\n").unwrap_err();
        sheet.medium.frozen = false;
        sheet.put(b"third\n").unwrap();
        assert_eq!(sheet.medium().bytes, b"first\nthird\n");
    }
}
