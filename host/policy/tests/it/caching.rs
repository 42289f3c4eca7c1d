//! Compiled components on disk.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use portcullis_policy::{Engine, EngineSettings};
use serde_json::json;

use crate::support::{World, plugin};

async fn build_with(cache: &Path) {
    let mut world = World::new();
    world.engine = Arc::new(
        Engine::new(EngineSettings {
            cache_dir: Some(cache.to_owned()),
            ..EngineSettings::default()
        })
        .unwrap(),
    );
    let generation = world.build(vec![plugin("a", json!({}))]).await.unwrap();
    assert_eq!(generation.plugins().len(), 1);
}

fn compiled(cache: &Path) -> Vec<PathBuf> {
    let files = fs::read_dir(cache)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    files
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "cwasm")
        })
        .collect()
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[tokio::test]
async fn a_compiled_component_is_kept_for_its_owner_only() {
    let dir = tempfile::tempdir().unwrap();
    let cache = dir.path().join("cache");
    build_with(&cache).await;
    let files = compiled(&cache);
    assert_eq!(files.len(), 1);
    assert_eq!(
        (mode(&cache), mode(&files[0]), mode(&cache.join("key"))),
        (0o700, 0o600, 0o600)
    );
    let written = fs::metadata(&files[0]).unwrap().modified().unwrap();
    build_with(&cache).await;
    assert_eq!(
        fs::metadata(&files[0]).unwrap().modified().unwrap(),
        written,
        "it was used, not written again"
    );
}

#[tokio::test]
async fn a_file_that_was_tampered_with_is_compiled_anew() {
    let dir = tempfile::tempdir().unwrap();
    let cache = dir.path().join("cache");
    build_with(&cache).await;
    let file = compiled(&cache).remove(0);
    let honest = fs::read(&file).unwrap();
    let mut tampered = honest.clone();
    let middle = tampered.len() / 2;
    tampered[middle] ^= 1;
    fs::write(&file, &tampered).unwrap();
    build_with(&cache).await;
    assert_ne!(fs::read(&file).unwrap(), tampered, "replaced");

    fs::write(&file, &honest[..10]).unwrap();
    build_with(&cache).await;
    assert!(fs::read(&file).unwrap().len() > 10);
}

#[tokio::test]
async fn a_cache_that_others_can_write_is_not_used() {
    let dir = tempfile::tempdir().unwrap();
    let cache = dir.path().join("cache");
    fs::create_dir(&cache).unwrap();
    fs::set_permissions(&cache, Permissions::from_mode(0o777)).unwrap();
    build_with(&cache).await;
    assert_eq!(compiled(&cache), Vec::<PathBuf>::new());
}
