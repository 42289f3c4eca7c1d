//! The mistakes of a caller and of an author; that a component comes out is what the end-to-end tests
//! and `tests/plugin-build` are for.

use super::*;

fn crate_dir(manifest: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("src")).unwrap();
    fs::write(dir.path().join("src/lib.rs"), "fn broken( {").unwrap();
    if !manifest.is_empty() {
        fs::write(dir.path().join("Cargo.toml"), manifest).unwrap();
    }
    dir
}

fn failure(manifest: &str) -> BuildFailure {
    let dir = crate_dir(manifest);
    component(dir.path(), &Options::default(), &mut |_| {}).unwrap_err()
}

#[test]
fn a_directory_without_a_crate_is_named() {
    let failure = failure("");
    assert!(matches!(failure, BuildFailure::NoCrate(_)), "{failure}");
}

#[test]
fn a_workspace_is_no_crate() {
    let failure = failure("[workspace]\nmembers = []\n");
    assert!(matches!(failure, BuildFailure::NoCrate(_)), "{failure}");
}

#[test]
fn a_crate_that_is_no_cdylib_is_told_what_to_add() {
    let failure = failure("[package]\nname = \"x\"\nversion = \"0.1.0\"\n[workspace]\n");
    assert!(
        matches!(failure, BuildFailure::NoComponent { .. }),
        "{failure}"
    );
    assert!(
        failure
            .to_string()
            .contains("crate-type = [\"cdylib\", \"rlib\"]")
    );
}

#[test]
fn a_manifest_that_is_none_is_shown_in_cargos_words() {
    let failure = failure("[package]\nname = 1\n");
    assert!(matches!(failure, BuildFailure::Compile(_)), "{failure}");
    assert!(failure.to_string().contains("Cargo.toml"), "{failure}");
}

#[test]
fn a_compile_error_is_shown() {
    let failure = failure(
        "[package]\nname = \"x\"\nversion = \"0.1.0\"\n[lib]\ncrate-type = [\"cdylib\"]\n[workspace]\n",
    );
    assert!(matches!(failure, BuildFailure::Compile(_)), "{failure}");
    assert!(failure.to_string().contains("fn broken( {"), "{failure}");
}
