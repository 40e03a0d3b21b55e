//! Unpacking, told by the first bytes: gzip, zstd, bzip2, xz, each of one member or several.
//!
//! Of an input that breaks off, or goes on with other bytes, everything before that is read. Then comes the error.

use std::io::{self, BufRead, BufReader, Read};

use bzip2::bufread::MultiBzDecoder;
use flate2::bufread::MultiGzDecoder;
use lzma_rust2::XzReader;
use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};

/// How much of a packed file is read at once.
const PACKED: usize = 1 << 18;

/// How many bytes tell how an input is packed.
pub const MAGIC: usize = 6;

/// The kind of an input, by its first bytes.
pub fn unpacked(head: &[u8], raw: impl Read + Send + 'static) -> Box<dyn Read + Send> {
    let buffered = |raw| BufReader::with_capacity(PACKED, raw);
    match head {
        [0x1f, 0x8b, ..] => Box::new(MultiGzDecoder::new(buffered(raw))),
        [b'B', b'Z', b'h', b'1'..=b'9', ..] => Box::new(MultiBzDecoder::new(buffered(raw))),
        [0xfd, b'7', b'z', b'X', b'Z', 0] => Box::new(XzReader::new(buffered(raw), true)),
        [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Box::new(Zstd::new(buffered(raw))),
        _ => Box::new(raw),
    }
}

/// The frames of a zstd file, one after the other.
struct Zstd<R> {
    raw: R,
    decoder: FrameDecoder,
    /// A frame has begun.
    is_open: bool,
    /// The error behind the bytes that could be read.
    failure: Option<io::Error>,
}

impl<R: BufRead> Zstd<R> {
    fn new(raw: R) -> Self {
        Self { raw, decoder: FrameDecoder::new(), is_open: false, failure: None }
    }

    /// Begins the next frame. `false` at the end.
    fn begin(&mut self) -> io::Result<bool> {
        while !self.raw.fill_buf()?.is_empty() {
            match self.decoder.init(&mut self.raw) {
                Ok(()) => {
                    self.is_open = true;
                    return Ok(true);
                }
                Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame { length, .. })) => {
                    io::copy(&mut self.raw.by_ref().take(u64::from(length)), &mut io::sink())?;
                }
                Err(FrameDecoderError::WindowSizeTooBig { .. }) => {
                    return Err(io::Error::other(
                        "its zstd window is too long: unpack it with `zstd -dc --long=31` and give `-` as the input",
                    ));
                }
                Err(error) => return Err(io::Error::other(error)),
            }
        }
        Ok(false)
    }

    /// Unpacks until there is something to hand out, or the frame ends.
    fn decode(&mut self) {
        while self.decoder.can_collect() == 0 && !self.decoder.is_finished() {
            let step = BlockDecodingStrategy::UptoBlocks(1);
            if let Err(error) = self.decoder.decode_blocks(&mut self.raw, step) {
                self.failure = Some(io::Error::other(error));
                // The decoder keeps what later blocks may refer to. An empty last block, and a checksum that
                // nobody compares, make it hand that out too.
                const LAST_BLOCK: [u8; 7] = [1, 0, 0, 0, 0, 0, 0];
                let _ = self.decoder.decode_blocks(&LAST_BLOCK[..], BlockDecodingStrategy::All);
                return;
            }
        }
    }

    /// The fault of a frame that has been passed on.
    fn end(&mut self) -> io::Result<()> {
        self.is_open = false;
        if let Some(error) = self.failure.take() {
            return Err(error);
        }
        match (self.decoder.get_checksum_from_data(), self.decoder.get_calculated_checksum()) {
            (Some(expected), Some(found)) if expected != found => {
                Err(io::Error::new(io::ErrorKind::InvalidData, "the checksum of a zstd frame does not fit its content"))
            }
            _ => Ok(()),
        }
    }
}

impl<R: BufRead> Read for Zstd<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.is_open || self.begin()? {
            if self.failure.is_none() {
                self.decode();
            }
            let read = self.decoder.read(buffer)?;
            if read > 0 || buffer.is_empty() {
                return Ok(read);
            }
            self.end()?;
        }
        Ok(0)
    }
}
