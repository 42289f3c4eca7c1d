//! Components that take what they can when they are instantiated: the scripted plugin with more
//! sections at its end, so that everything else about them is right.

use portcullis_policy::BuildError;
use serde_json::json;

use crate::support::{World, plugin, scripted};

/// The sections of a component (Component Model, Binary.md) that are used here.
const CORE_MODULE: u8 = 1;
const CORE_INSTANCE: u8 = 2;
const COMPONENT: u8 = 4;
const INSTANCE: u8 = 5;

/// An empty core module.
const MODULE: [u8; 8] = *b"\0asm\x01\0\0\0";
/// An empty component.
const PREAMBLE: [u8; 8] = *b"\0asm\x0d\0\x01\0";

fn number(mut value: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let low = u8::try_from(value & 0x7f).unwrap();
        value >>= 7;
        bytes.push(if value == 0 { low } else { low | 0x80 });
        if value == 0 {
            return bytes;
        }
    }
}

fn section(id: u8, content: &[u8]) -> Vec<u8> {
    [&[id], &number(content.len())[..], content].concat()
}

/// How many top-level sections with this id there are.
fn count(component: &[u8], id: u8) -> usize {
    let (mut at, mut found) = (8, 0);
    while at < component.len() {
        found += usize::from(component[at] == id);
        at += 1;
        let (mut length, mut shift) = (0, 0);
        loop {
            let byte = usize::from(component[at]);
            at += 1;
            length |= (byte & 0x7f) << shift;
            shift += 7;
            if byte < 0x80 {
                break;
            }
        }
        at += length;
    }
    found
}

/// The scripted plugin that also instantiates this module so many times.
fn with_module(module: &[u8], times: usize) -> Vec<u8> {
    let mut component = std::fs::read(scripted()).unwrap();
    let place = number(count(&component, CORE_MODULE));
    let instantiate = [&[0], &place[..], &[0]].concat();
    let instances = [number(times), instantiate.repeat(times)].concat();
    component.extend(section(CORE_MODULE, module));
    component.extend(section(CORE_INSTANCE, &instances));
    component
}

/// The scripted plugin that also instantiates this component.
fn with_component(nested: &[u8]) -> Vec<u8> {
    let mut component = std::fs::read(scripted()).unwrap();
    let place = number(count(&component, COMPONENT));
    component.extend(section(COMPONENT, nested));
    component.extend(section(INSTANCE, &[&[1, 0], &place[..], &[0]].concat()));
    component
}

async fn refused(component: &[u8]) -> BuildError {
    let world = World::new();
    let mut spec = plugin("a", json!({}));
    spec.component = world.file(component);
    world.build(vec![spec]).await.map(drop).unwrap_err()
}

#[tokio::test]
async fn what_is_added_here_is_no_harm_by_itself() {
    let world = World::new();
    let mut spec = plugin("a", json!({}));
    spec.component = world.file(&with_module(&MODULE, 3));
    world.build(vec![spec]).await.map(drop).unwrap();
}

#[tokio::test]
async fn a_bomb_of_instances_is_refused() {
    let error = refused(&with_module(&MODULE, 100)).await;
    assert!(error.reason.contains("instance count"), "{error}");
}

#[tokio::test]
async fn a_bomb_of_memories_is_refused() {
    // (memory 100), three times: 6.25 MiB each, of 16 MiB for all.
    let memory = [&MODULE[..], &section(5, &[1, 0, 100])].concat();
    let error = refused(&with_module(&memory, 3)).await;
    assert!(error.reason.contains("bytes of memory"), "{error}");
}

#[tokio::test]
async fn a_bomb_of_tables_is_refused() {
    // (table 1000000 funcref)
    let table = [&[1, 0x70, 0][..], &number(1_000_000)].concat();
    let module = [&MODULE[..], &section(4, &table)].concat();
    let error = refused(&with_module(&module, 1)).await;
    assert!(error.reason.contains("table"), "{error}");
}

#[tokio::test]
async fn a_bomb_of_handles_is_refused() {
    // A start function that makes resources of the component's own without end.
    let types = section(1, &[2, 0x60, 1, 0x7f, 1, 0x7f, 0x60, 0, 0]);
    let import = section(2, b"\x01\x01m\x03new\0\0");
    let functions = section(3, &[1, 1]);
    let start = section(8, &[1]);
    // loop; i32.const 0; call 0; drop; br 0; end; end
    let body = [0, 3, 0x40, 0x41, 0, 0x10, 0, 0x1a, 0x0c, 0, 0x0b, 0x0b];
    let code = section(10, &[&[1, 12], &body[..]].concat());
    let module = [&MODULE[..], &types, &import, &functions, &start, &code].concat();
    let nested = [
        &PREAMBLE[..],
        // (type (resource (rep i32))), (core func (canon resource.new 0))
        &section(7, &[1, 0x3f, 0x7f, 0]),
        &section(8, &[1, 2, 0]),
        &section(CORE_MODULE, &module),
        // (core instance (export "new" (func 0))), (core instance (instantiate 0 (with "m" 0)))
        &section(
            CORE_INSTANCE,
            b"\x02\x01\x01\x03new\0\0\x00\x00\x01\x01m\x12\x00",
        ),
    ]
    .concat();
    let error = refused(&with_component(&nested)).await;
    assert!(error.reason.contains("handle limit"), "{error}");
}
