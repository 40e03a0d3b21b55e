//! Bytes to gzip and back.

use std::io::{self, Read, Write};

use flate2::bufread::MultiGzDecoder;
use flate2::write::GzEncoder;

const MAGIC: &[u8] = b"\x1f\x8b";

/// The unpacked bytes of gzip, up to a maximum, or why it cannot be unpacked; `None` for other data.
pub(crate) fn unpacked(data: &[u8], most: u64) -> Option<Result<Vec<u8>, String>> {
    data.starts_with(MAGIC).then(|| {
        let mut plain = Vec::new();
        let read = MultiGzDecoder::new(data).take(most.saturating_add(1)).read_to_end(&mut plain);
        match read {
            Ok(bytes) if bytes as u64 > most => Err(format!("it holds more than {} MiB", most >> 20)),
            Ok(_) => Ok(plain),
            Err(error) => Err(error.to_string()),
        }
    })
}

/// Data as gzip.
pub(crate) fn packed(data: &[u8]) -> io::Result<Vec<u8>> {
    let mut packed = GzEncoder::new(Vec::new(), flate2::Compression::default());
    packed.write_all(data)?;
    packed.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bomb_is_refused() {
        let most = 64 << 20;
        let zeros = packed(&vec![0; most + 1]).unwrap();
        assert!(zeros.len() < 1 << 20);
        assert_eq!(unpacked(&zeros, most as u64).unwrap().unwrap_err(), "it holds more than 64 MiB");
        assert_eq!(unpacked(&zeros, most as u64 + 1).unwrap().unwrap().len(), most + 1);
        assert_eq!(unpacked(b"plain", 0), None);
    }
}
