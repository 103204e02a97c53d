//! Where a head ends, found in its bytes as they arrive.

/// How far the end of a head has been searched for.
#[derive(Debug, Default)]
pub(crate) struct Scan {
    /// Bytes already searched.
    pub(crate) scanned: usize,
    /// Where the current line begins.
    pub(crate) line: usize,
}

impl Scan {
    /// Finds the end of the head in `bytes`, which grow, and reads each byte once. Lines end in CRLF only (RFC 9112
    /// section 2.2): parsers differ on a lone LF or CR.
    pub(crate) fn end(&mut self, bytes: &[u8]) -> Result<Option<usize>, Stray> {
        loop {
            let before = self.scanned.checked_sub(1).and_then(|i| bytes.get(i));
            let after_return = before == Some(&b'\r') && self.scanned > self.line;
            let unseen = bytes.get(self.scanned..).unwrap_or_default();
            if !after_return {
                // Most bytes end nothing.
                self.scanned += unseen.iter().take_while(|byte| **byte > b'\r').count();
            }
            match bytes.get(self.scanned) {
                None => return Ok(None),
                Some(b'\n') if !after_return => return Err(Stray::Lf),
                Some(b'\n') if self.scanned - self.line == 1 => return Ok(Some(self.scanned + 1)),
                Some(b'\n') => self.line = self.scanned + 1,
                Some(_) if after_return => return Err(Stray::Cr),
                Some(0) => return Err(Stray::Nul),
                Some(_) => {}
            }
            self.scanned += 1;
        }
    }
}

/// A byte that is not allowed where it was found.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Stray {
    Lf,
    Cr,
    Nul,
}

impl Stray {
    pub(crate) fn in_request(self) -> &'static str {
        match self {
            Stray::Lf => "a line of the request head ends in LF without CR",
            Stray::Cr => "the request head contains a CR without LF",
            Stray::Nul => "the request head contains a NUL byte",
        }
    }

    pub(crate) fn in_response(self) -> &'static str {
        match self {
            Stray::Lf => "a line of its head ends in LF alone",
            Stray::Cr => "its head contains a CR without LF",
            Stray::Nul => "its head contains a NUL byte",
        }
    }
}
