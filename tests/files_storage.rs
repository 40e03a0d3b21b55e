//! Parquet as the example `files` writes it, and `kinesis` too: the tests of that module, which reads its
//! files back with other programs where they are installed.

#[allow(dead_code, reason = "the programs use more of it than these tests")]
#[path = "../examples/files/columns.rs"]
mod columns;
#[allow(dead_code, unused_imports, reason = "the programs use more of it than these tests")]
#[path = "../examples/files/storage/mod.rs"]
mod storage;
