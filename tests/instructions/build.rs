//! Tells the program which compiler built it: what it counts holds for that one alone.

use std::env;
use std::error::Error;
use std::process::Command;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=build.rs");
    let said = Command::new(env::var("RUSTC")?).arg("--version").output()?;
    // `rustc 1.95.0 (59807616e 2026-04-14)`: the release says enough.
    let version = String::from_utf8(said.stdout)?;
    let release = version.split(' ').nth(1).unwrap_or("of no name");
    let target = env::var("TARGET")?;
    println!("cargo:rustc-env=COMPILER=rustc {release}, {target}");
    Ok(())
}
