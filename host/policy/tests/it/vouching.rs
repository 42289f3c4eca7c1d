//! Components that the operator pins by digest or has signed: checked before anything is compiled.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use portcullis_policy::{BuildError, BuildStep, Generation, GenerationSpec, Partners, PluginSpec};
use serde_json::json;

use crate::support::{World, plugin, scripted};

/// A key pair as the documents tell operators to make one.
fn key_pair(dir: &Path, name: &str) -> (PathBuf, PathBuf) {
    let (private, public) = (
        dir.join(format!("{name}.pem")),
        dir.join(format!("{name}.pub")),
    );
    openssl(&[
        "genpkey".as_ref(),
        "-algorithm".as_ref(),
        "ed25519".as_ref(),
        "-out".as_ref(),
        &private,
    ]);
    openssl(&[
        "pkey".as_ref(),
        "-in".as_ref(),
        &private,
        "-pubout".as_ref(),
        "-out".as_ref(),
        &public,
    ]);
    (private, public)
}

fn sign(private: &Path, file: &Path, signature: &Path) {
    openssl(&[
        "pkeyutl".as_ref(),
        "-sign".as_ref(),
        "-rawin".as_ref(),
        "-inkey".as_ref(),
        private,
        "-in".as_ref(),
        file,
        "-out".as_ref(),
        signature,
    ]);
}

fn openssl(arguments: &[&Path]) {
    let status = Command::new("openssl")
        .args(arguments)
        .stderr(Stdio::null())
        .status()
        .unwrap();
    assert!(status.success(), "openssl {arguments:?}");
}

async fn build(
    world: &World,
    spec: PluginSpec,
    keys: &[&PathBuf],
) -> Result<Generation, BuildError> {
    let spec = GenerationSpec {
        number: 1,
        plugins: vec![spec],
        partners: Partners::default(),
        stanza_bytes: 64 * 1024,
        plugin_keys: keys.iter().map(|key| (*key).clone()).collect(),
    };
    Generation::build(&world.engine, &world.services, spec).await
}

async fn refused(world: &World, spec: PluginSpec, keys: &[&PathBuf]) -> String {
    let error = build(world, spec, keys).await.map(drop).unwrap_err();
    assert_eq!(error.step, BuildStep::Provenance, "{error}");
    error.reason
}

/// The scripted plugin, at a place of its own.
fn copy(world: &World) -> PluginSpec {
    let mut spec = plugin("a", json!({}));
    spec.component = world.file(&std::fs::read(scripted()).unwrap());
    spec
}

#[tokio::test]
async fn another_content_than_the_pinned_one_is_refused_before_it_is_looked_at() {
    let world = World::new();
    let mut spec = copy(&world);
    let digest = build(&world, spec.clone(), &[]).await.unwrap().plugins()[0]
        .digest
        .clone();
    let bytes = (0..32).map(|n| u8::from_str_radix(&digest[2 * n..2 * n + 2], 16).unwrap());
    spec.sha256 = Some(bytes.collect::<Vec<_>>().try_into().unwrap());
    build(&world, spec.clone(), &[]).await.unwrap();
    // Not even a component: only the digest can be what refuses it.
    spec.component = world.file(b"#!/bin/sh");
    let reason = refused(&world, spec, &[]).await;
    assert!(reason.contains(&format!("pins it to {digest}")), "{reason}");
}

#[tokio::test]
async fn where_keys_are_trusted_an_unsigned_component_is_refused_unless_it_is_pinned() {
    let world = World::new();
    let (private, public) = key_pair(world.dir.path(), "ours");
    let mut spec = copy(&world);
    let reason = refused(&world, spec.clone(), &[&public]).await;
    assert!(reason.contains("component.wasm.sig"), "{reason}");

    let mut pinned = spec.clone();
    let digest = build(&world, spec.clone(), &[]).await.unwrap().plugins()[0]
        .digest
        .clone();
    let bytes = (0..32).map(|n| u8::from_str_radix(&digest[2 * n..2 * n + 2], 16).unwrap());
    pinned.sha256 = Some(bytes.collect::<Vec<_>>().try_into().unwrap());
    build(&world, pinned, &[&public]).await.unwrap();

    let beside = world.dir.path().join("component.wasm.sig");
    sign(&private, &spec.component, &beside);
    build(&world, spec.clone(), &[&public]).await.unwrap();
    let elsewhere = world.dir.path().join("elsewhere.sig");
    std::fs::rename(beside, &elsewhere).unwrap();
    spec.signature = Some(elsewhere);
    build(&world, spec, &[&public]).await.unwrap();
}

#[tokio::test]
async fn a_signature_of_another_key_or_another_content_is_refused() {
    let world = World::new();
    let (ours, public) = key_pair(world.dir.path(), "ours");
    let (theirs, their_public) = key_pair(world.dir.path(), "theirs");
    let spec = copy(&world);
    let signature = world.dir.path().join("component.wasm.sig");
    sign(&theirs, &spec.component, &signature);
    let reason = refused(&world, spec.clone(), &[&public]).await;
    assert!(reason.contains("by any of plugin_keys"), "{reason}");
    build(&world, spec.clone(), &[&public, &their_public])
        .await
        .unwrap();

    sign(&ours, &spec.component, &signature);
    let mut bytes = std::fs::read(&spec.component).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    world.file(&bytes);
    refused(&world, spec.clone(), &[&public]).await;
    // A pin does not excuse a signature that is named and wrong.
    let mut named = spec;
    named.signature = Some(signature);
    refused(&world, named, &[&public]).await;
}

#[tokio::test]
async fn a_key_that_is_none_opens_nothing() {
    let world = World::new();
    let spec = copy(&world);
    let wrong = world.dir.path().join("wrong.pub");
    std::fs::write(&wrong, "no key").unwrap();
    let reason = refused(&world, spec.clone(), &[&wrong]).await;
    assert!(reason.contains("no Ed25519 public key"), "{reason}");
    let missing = world.dir.path().join("missing.pub");
    let reason = refused(&world, spec, &[&missing]).await;
    assert!(reason.contains("missing.pub"), "{reason}");
}
