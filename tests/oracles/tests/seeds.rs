//! What the fuzz targets promise, tried on their seeds and on spoiled seeds.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking; clippy sees only #[test] functions as tests"
)]

use std::{fs, path::Path};

use portcullis_oracles::{generate, holds};

fn seeds(target: &str) -> Vec<(String, Vec<u8>)> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../host/xmpp/fuzz/seeds")
        .join(target);
    let entries =
        fs::read_dir(&directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
    let read = |entry: std::io::Result<fs::DirEntry>| {
        let path = entry.unwrap().path();
        (path.display().to_string(), fs::read(&path).unwrap())
    };
    entries.map(read).collect()
}

#[test]
fn every_target_holds_on_its_seeds_and_on_spoiled_seeds() {
    for (target, holds) in holds::TARGETS {
        let seeds = seeds(target);
        assert!(seeds.len() >= 4, "{target} has {} seeds", seeds.len());
        for (name, bytes) in &seeds {
            println!("{name}");
            holds(bytes);
            for number in 0..200 {
                println!("spoiled by {number}");
                holds(&generate::spoiled(number, bytes));
            }
        }
    }
}

#[test]
fn every_target_is_one_that_cargo_fuzz_finds() {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../host/xmpp/fuzz");
    let manifest = fs::read_to_string(fuzz.join("Cargo.toml")).unwrap();
    let readme = fs::read_to_string(fuzz.join("README.md")).unwrap();
    for (target, _) in holds::TARGETS {
        let source = fs::read_to_string(fuzz.join(format!("fuzz_targets/{target}.rs"))).unwrap();
        assert!(
            source.contains(&format!("holds::{target}(data)")),
            "{source}"
        );
        assert!(manifest.contains(&format!("name = \"{target}\"")));
        assert!(readme.contains(&format!("| `{target}` |")));
    }
}
