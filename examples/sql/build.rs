//! Tells the tests whether the real logs are there (`cfg(shared)`), which are no part of the repository.

use std::path::{Path, PathBuf};

fn main() {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    let shared = std::env::var_os("STAGGER_SHARED").map_or_else(beside, PathBuf::from);
    println!("cargo::rustc-check-cfg=cfg(shared)");
    println!("cargo::rerun-if-env-changed=STAGGER_SHARED");
    println!("cargo::rerun-if-changed={}", shared.display());
    if shared.join("data").is_dir() {
        println!("cargo::rustc-cfg=shared");
    }
}
