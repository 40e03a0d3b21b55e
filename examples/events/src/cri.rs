//! Logs of containers as Kubernetes keeps them: `2024-03-04T09:00:00.1Z stdout F text`, one in front of each line.
//!
//! The text is read, whatever its format. The runtime cuts long lines into parts (`P`) before a last one (`F`): they
//! are put together again, those of each stream by themselves. Other lines pass as they are.

use std::io::{self, Read};

use memchr::memchr;

use crate::lines::LONGEST_LINE;

/// A line taken apart.
struct Framed<'a> {
    is_error: bool,
    is_part: bool,
    text: &'a [u8],
}

/// Whether a line is in such a frame.
pub(crate) fn is_framed(line: &[u8]) -> bool {
    framed(line).is_some()
}

fn framed(line: &[u8]) -> Option<Framed<'_>> {
    let mut words = line.splitn(4, |byte| *byte == b' ');
    let mut word = || words.next();
    let is_time = |time: &&[u8]| {
        matches!(time, [b'0'..=b'9', .., b'Z'] | [b'0'..=b'9', .., b'0'..=b'9'])
            && time.len() > 19
            && [time[4], time[7], time[10], time[13]] == *b"--T:"
    };
    word().filter(is_time)?;
    let is_error = match word()? {
        b"stdout" => false,
        b"stderr" => true,
        _ => return None,
    };
    let is_part = match word()? {
        [b'P'] | [b'P', b':', ..] => true,
        [b'F'] | [b'F', b':', ..] => false,
        _ => return None,
    };
    Some(Framed { is_error, is_part, text: word()? })
}

/// The text in the frames of an input.
pub(crate) struct Unframed<R> {
    raw: R,
    block: Vec<u8>,
    /// The beginning of a line whose end has not been read.
    line: Vec<u8>,
    /// Parts of a line of each stream.
    parts: [Vec<u8>; 2],
    text: Vec<u8>,
    at: usize,
}

impl<R: Read> Unframed<R> {
    pub(crate) fn new(raw: R) -> Self {
        Self { raw, block: vec![0; 1 << 16], line: Vec::new(), parts: Default::default(), text: Vec::new(), at: 0 }
    }

    /// Reads more. `false` at the end, when all is passed on.
    fn fill(&mut self) -> io::Result<bool> {
        self.text.clear();
        self.at = 0;
        let read = self.raw.read(&mut self.block)?;
        let block = std::mem::take(&mut self.block);
        let mut rest = &block[..read];
        while let Some(end) = memchr(b'\n', rest) {
            self.line.extend_from_slice(&rest[..=end]);
            rest = &rest[end + 1..];
            self.pass();
        }
        self.line.extend_from_slice(rest);
        self.block = block;
        if self.line.len() > LONGEST_LINE || (read == 0 && !self.line.is_empty()) {
            self.pass();
        }
        if read == 0 {
            self.parts.iter_mut().for_each(|part| self.text.append(part));
        }
        Ok(read > 0 || !self.text.is_empty())
    }

    /// Passes a line on, with the parts before it.
    fn pass(&mut self) {
        match framed(&self.line) {
            Some(Framed { is_error, is_part, text }) => {
                let part = &mut self.parts[usize::from(is_error)];
                let is_open = is_part && part.len() + text.len() <= LONGEST_LINE;
                part.extend_from_slice(if is_part { text.strip_suffix(b"\n").unwrap_or(text) } else { text });
                if !is_open {
                    self.text.append(part);
                }
            }
            None => self.text.extend_from_slice(&self.line),
        }
        self.line.clear();
    }
}

impl<R: Read> Read for Unframed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.at == self.text.len() {
            if !self.fill()? {
                return Ok(0);
            }
        }
        let read = (&self.text[self.at..]).read(buffer)?;
        self.at += read;
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives so many bytes at once.
    struct Slow<'a>(&'a [u8], usize);

    impl Read for Slow<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let most = self.1.min(buffer.len()).min(self.0.len());
            self.0.read(&mut buffer[..most])
        }
    }

    #[test]
    fn frames_are_taken_off_and_parts_put_together() {
        let input = b"2024-03-04T09:00:00.1Z stdout F one\n2024-03-04T09:00:00.1+00:00 stdout P two \n\
            2024-03-04T09:00:00Z stderr P err\n2024-03-04T09:00:00Z stdout P:x and \n2024-03-04T09:00:00Z stderr F or\n\
            2024-03-04T09:00:00Z stdout F:x three\r\n2024-03-04T09:00:00Z stdout F \nother\n2024-03-04T09:00:00Z stdlog F x\n\
            2024-03-04T09:00:00Z stdout P open";
        let expected = "one\nerror\ntwo and three\r\n\nother\n2024-03-04T09:00:00Z stdlog F x\nopen";
        for size in [1, 2, 7, 1_000] {
            let mut text = String::new();
            Unframed::new(Slow(input, size)).read_to_string(&mut text).unwrap();
            assert_eq!(text, expected, "{size}");
        }
    }
}
