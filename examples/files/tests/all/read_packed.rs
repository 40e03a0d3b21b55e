//! Packed inputs: whole, of several members, breaking off, and with other bytes behind them.

use std::io::Write as _;

use crate::cases::{Case, check};
use crate::support::{Folder, clicks, run_on, words};

fn gzip(text: &str) -> Vec<u8> {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(text.as_bytes()).unwrap();
    gzip.finish().unwrap()
}

fn bzip2(text: &str) -> Vec<u8> {
    let mut bzip2 = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
    bzip2.write_all(text.as_bytes()).unwrap();
    bzip2.finish().unwrap()
}

fn xz(text: &str) -> Vec<u8> {
    let mut xz = lzma_rust2::XzWriter::new(Vec::new(), lzma_rust2::XzOptions::with_preset(1)).unwrap();
    xz.write_all(text.as_bytes()).unwrap();
    xz.finish().unwrap()
}

fn zstd(text: &str) -> Vec<u8> {
    ruzstd::encoding::compress_to_vec(text.as_bytes(), ruzstd::encoding::CompressionLevel::Fastest)
}

type Packer = fn(&str) -> Vec<u8>;

const PACKERS: [(&str, Packer); 4] = [("gz", gzip), ("bz2", bzip2), ("xz", xz), ("zst", zstd)];

fn lines(users: std::ops::Range<u32>) -> String {
    let line = |user: u32| format!("{{\"u\":\"user {user}\",\"t\":{}}}\n", 1_709_542_800 + user);
    users.map(line).collect()
}

#[test]
fn whole() {
    for (ending, packed) in PACKERS {
        let (one, two) = (packed(&lines(0..1)), packed(&lines(1..2)));
        let rows = &["user 0 1 2024-03-04T09:00:00Z", "user 1 1 2024-03-04T09:00:01Z"];
        let case = |what, input| Case {
            what,
            file: "clicks",
            input,
            options: "--key u --time t",
            rows,
            says: &[" 2 events, 0 rejected,"],
            status: 0,
        };
        check(&[case(ending, &packed(&lines(0..2))), case(ending, &[one, two].concat())]);
    }
}

#[test]
fn broken() {
    for (ending, packed) in PACKERS {
        let whole = packed(&lines(0..2));
        let rows = &["user 0 1 2024-03-04T09:00:00Z", "user 1 1 2024-03-04T09:00:01Z"];
        let case = |what, input| Case {
            what,
            file: "clicks",
            input,
            options: "--key u --time t",
            rows,
            says: &["clicks cannot be read to its end: after 2 lines, which are used, "],
            status: 1,
        };
        let with = |behind: &[u8]| [&whole[..], behind].concat();
        let (bytes, next) = (with(b"other bytes"), with(&packed(&lines(2..3))[..9]));
        check(&[case(ending, &bytes), case(ending, &next)]);
        // Zeros fill up a file of xz by the rules.
        if ending != "xz" {
            check(&[case(ending, &with(&[0; 512]))]);
        }
    }
}

/// Content that another program must unpack or convert first.
#[test]
fn no_lines() {
    const CSV: &str = "u,t\nann,1709542800\n";
    let utf_16 = |bytes: fn(u16) -> [u8; 2]| CSV.encode_utf16().flat_map(bytes).collect::<Vec<_>>();
    let mut tar = vec![0; 1_024];
    tar[..4].copy_from_slice(b"in.c");
    tar[257..262].copy_from_slice(b"ustar");
    tar.extend_from_slice(CSV.as_bytes());
    let mut twice = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    twice.write_all(&gzip(CSV)).unwrap();
    let none = |what, input, says| Case {
        what,
        file: "in.csv",
        input,
        options: "--key u --time t",
        rows: &[],
        says,
        status: 2,
    };
    check(&[
        none(
            "lines that end in CR alone",
            b"u,t\rann,1709542800\rbob,1709542800\r",
            &["end with CR alone: convert it"],
        ),
        none("a header of all names before them", b"u,t,v\rann,1709542800,1", &["end with CR alone: convert it"]),
        none("UTF-16 without a mark", &utf_16(u16::to_le_bytes), &["it is in UTF-16: convert it with `iconv"]),
        none("the other way round", &utf_16(u16::to_be_bytes), &["it is in UTF-16: convert it with `iconv"]),
        none("a tar archive", &tar, &["it is a tar archive: unpack its files"]),
        none("the same, packed", &gzip(std::str::from_utf8(&tar).unwrap()), &["it is a tar archive: unpack its files"]),
        none("packed by compress", b"\x1f\x9d\x90u\n", &["it is packed by compress: unpack it with `zcat`"]),
        none("packed by lz4", b"\x04\x22\x4d\x18d@\xa7", &["it is packed by lz4: unpack it with `lz4 -dc`"]),
        none("by an old lz4", b"\x02\x21\x4c\x18d@\xa7", &["it is packed by lz4: unpack it with `lz4 -dc`"]),
        none("packed by lzip", b"LZIP\x01\x0c\n", &["it is packed by lzip: unpack it with `lzip -dc`"]),
        none("packed by lzop", b"\x89LZO\0\r\n", &["it is packed by lzop: unpack it with `lzop -dc`"]),
        none("a journal of systemd", b"LPKSHHRH\0\0\n", &["a journal of systemd: give `-` the output of `journalctl"]),
        Case {
            file: "in.csv.zst",
            status: 1,
            ..none(
                "packed by zstd --long=31",
                b"(\xb5/\xfd\0\xa8\x09\0\0a",
                &["its zstd window is too long: unpack it with `zstd -dc --long=31`"],
            )
        },
        none("a 7z archive", b"7z\xbc\xaf'\x1c\0\x04", &["it is a 7z archive: unpack it"]),
        none("a zip file", b"PK\x03\x04\x14\0", &["it is a zip file: unpack it with `unzip -p`"]),
        none(
            "a workbook",
            b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1\0\n",
            &["it is a file of an old Excel, or of another program"],
        ),
        none("a database", b"SQLite format 3\0\n", &["it is a database of SQLite: give `-` the output of"]),
        none("Avro", b"Obj\x01\x04\n,", &["it is an Avro file: give `-` the output of"]),
        none("packed by Snappy", b"\xff\x06\0\0sNaPpY\n", &["it is packed by Snappy: unpack it with `snzip -dc`"]),
        none("a rar archive", b"Rar!\x1a\x07\n", &["it is a rar archive: unpack it"]),
        none(
            "a page that asks for a password",
            b"<!DOCTYPE html><p>Sign in, please\n",
            &["it is a page of HTML, or XML"],
        ),
        none("an empty zip file", b"PK\x05\x06\0\0", &["it is a zip file without content"]),
        none("packed twice", &twice.finish().unwrap(), &["it is packed twice: unpack it once"]),
        Case {
            rows: &["ann 1 2024-03-04T09:00:00Z", "bob 1 2024-03-04T09:00:00Z"],
            status: 0,
            file: "in.jsonl",
            ..none(
                "objects need no line ends",
                b"{\"u\":\"ann\",\"t\":1709542800}\r{\"u\":\"bob\",\"t\":1709542800}\r",
                &[],
            )
        },
    ]);
}

/// Records before the end are used, and those of the inputs before and behind it. A line that is cut in two is not.
#[test]
fn breaking_off() {
    let many = lines(0..100_000);
    for (ending, packed) in PACKERS {
        let folder = Folder::new();
        let whole = packed(&many);
        let cut = folder.write(&format!("cut.jsonl.{ending}"), &whole[..whole.len() * 9 / 10]);
        let before = folder.write("before.jsonl", "{\"u\":\"before\",\"t\":1709542800}\n");
        let behind = folder.write("behind.jsonl", "{\"u\":\"behind\",\"t\":1709542800}\n");
        let ran = run_on("", &[&before, &cut, &behind, "--key", "u", "--time", "t"]);
        assert_eq!(ran.status, 1, "{}", ran.said);
        let said = format!("files: {cut} cannot be read to its end: after ");
        assert!(ran.said.contains(&said), "{}", ran.said);
        let rows = ran.rows();
        assert!(rows.len() > 50_000 && rows.len() < 100_000, "{ending}: {} rows", rows.len());
        assert!(ran.said.contains(", 0 rejected, 0 late;"), "{}", ran.said);
        for user in ["before", "behind", "user 0", "user 50000"] {
            assert!(rows.iter().any(|row| row["u"] == user), "{ending}: {user}");
        }
    }
}

#[test]
fn nothing_but_a_beginning_leaves_an_earlier_result() {
    let folder = Folder::new();
    let output = folder.write("visits.csv", "yesterday\n");
    let cut = folder.write("cut.jsonl.gz", &gzip(&clicks(&[("ann", 0, "a")]))[..15]);
    let ran = run_on("", &[&[cut.as_str(), "--output", &output], &words("--key user --time time")[..]].concat());
    assert_eq!((ran.status, folder.read("visits.csv").as_str()), (1, "yesterday\n"), "{}", ran.said);
    assert!(ran.said.contains("cannot be read to its end: after 0 lines"), "{}", ran.said);
}

#[test]
fn parquet_that_cannot_be_read_says_what_to_do() {
    let folder = Folder::new();
    let path = folder.write("in.parquet", "PAR1 and more\n");
    let by_name =
        if cfg!(feature = "parquet") { "in.parquet: it is no parquet file" } else { "it is a Parquet file: " };
    for (input, content, sentence) in [(path.as_str(), "", by_name), ("-", "PAR1 and more\n", "it is a Parquet file: ")]
    {
        let ran = run_on(content, &words(&format!("{input} --key user --time time")));
        assert!(ran.status == 2 && ran.said.contains(sentence), "{}", ran.said);
    }
}
