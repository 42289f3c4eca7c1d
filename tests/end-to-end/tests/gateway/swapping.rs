//! Another policy without a restart: what is told of it, what refuses it, and the way back.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use portcullis::admin::protocol::{Difference, Purpose, Reload, ReloadResult, RolledBack};
use portcullis::app::Trigger;
use portcullis_end_to_end::{Plan, World, build_plugin, prepare};
use portcullis_test_support::Mode;

/// Components of one's own in a directory of one's own.
struct Shelf {
    plugins: PathBuf,
    allowlist: Vec<u8>,
}

impl Shelf {
    /// With the partner-allowlist plugin as `a.wasm`.
    fn new(dir: &Path) -> Self {
        let plugins = dir.join("shelf");
        std::fs::create_dir(&plugins).unwrap();
        let allowlist = std::fs::read(build_plugin("plugins/partner-allowlist")).unwrap();
        let shelf = Self { plugins, allowlist };
        shelf.put("a.wasm", &shelf.allowlist);
        shelf
    }

    /// Replaces a file as package managers do: whole, by a rename.
    fn put(&self, name: &str, bytes: &[u8]) {
        let temporary = self.plugins.join(".new");
        std::fs::write(&temporary, bytes).unwrap();
        std::fs::rename(temporary, self.plugins.join(name)).unwrap();
    }

    /// The same component with another content: a custom section behind it.
    fn variant(&self, tag: u8) -> Vec<u8> {
        [&self.allowlist[..], &[0, 3, 1, b't', tag]].concat()
    }
}

/// `[[plugin]]` for `a.wasm` under this name.
fn allowing(name: &str, domains: &[&str]) -> String {
    format!(
        "[[plugin]]\nname = '{name}'\ncomponent = 'a.wasm'\n[plugin.config]\nallow = {domains:?}\n"
    )
}

async fn world(more: String) -> (World, Shelf) {
    let prepared = prepare();
    let shelf = Shelf::new(prepared.dir());
    let world = prepared
        .start(Plan {
            plugins: Some(shelf.plugins.clone()),
            more,
            ..Plan::default()
        })
        .await;
    (world, shelf)
}

async fn reload(world: &World) -> Reload {
    world.gateway.reload(Trigger::Admin).await.unwrap()
}

fn rolled_back(world: &World) -> Option<RolledBack> {
    world.gateway.status().rolled_back
}

async fn lets_in(world: &World, domain: &str) -> bool {
    world.outside(domain, Mode::StartTls).await.is_ok()
}

#[tokio::test]
async fn a_reload_tells_what_changed_and_how_long_each_step_took() {
    let both = [allowing("one", &[]), allowing("two", &[])].concat();
    let (mut world, shelf) = world(both).await;
    // Both directories are watched: whoever notices first reloads, and the status has the report.
    let told = async |world: &World, generation: u64| {
        let reload = reload(world).await;
        assert_eq!(reload.generation, generation, "{reload:?}");
        world.gateway.status().last_reload.unwrap()
    };

    shelf.put("a.wasm", &shelf.variant(1));
    let replaced = told(&world, 2).await;
    assert_eq!(replaced.result, ReloadResult::Ok, "{replaced:?}");
    let plugin = &replaced.changes.plugins[0];
    assert!(plugin.replaced && plugin.settings.is_empty(), "{plugin:?}");
    let (before, after) = (plugin.before.as_ref(), plugin.after.as_ref());
    assert_eq!(
        after.unwrap().digest,
        world.gateway.status().plugins[0].digest
    );
    assert_ne!(before.unwrap().digest, after.unwrap().digest);
    for step in ["read", "trust", "verify", "probe", "init", "keep", "swap"] {
        let taken = replaced.steps.iter().find(|taken| taken.name == step);
        assert!(taken.is_some(), "{step}: {replaced:?}");
    }
    assert!(
        replaced.messages.join(" ").contains("plugin one replaced"),
        "{replaced:?}"
    );

    let other = [
        allowing("two", &["beta.test"]),
        allowing("three", &[]),
        allowing("one", &[]),
    ];
    world.rewrite_end(&other.concat());
    let changes = told(&world, 3).await.changes;
    let names: Vec<_> = (changes.plugins.iter())
        .map(|plugin| (&*plugin.name, plugin.difference))
        .collect();
    assert_eq!(
        names,
        [("two", Difference::Changed), ("three", Difference::Added)]
    );
    assert_eq!(changes.plugins[0].settings, ["config"]);
    assert_eq!(changes.order.unwrap(), ["two", "three", "one"]);

    let alpha = vec![("alpha.test", "127.0.0.1:9".parse().unwrap())];
    world.rewrite_with(&allowing("two", &["beta.test"]), alpha);
    let changes = told(&world, 4).await.changes;
    let names: Vec<_> = (changes.plugins.iter())
        .map(|plugin| (&*plugin.name, plugin.difference))
        .collect();
    assert_eq!(
        names,
        [("three", Difference::Removed), ("one", Difference::Removed)]
    );
    assert_eq!(changes.partners[0].domain, "alpha.test");
    assert_eq!(changes.partners[0].difference, Difference::Added);

    world.rewrite(vec![("alpha.test", "127.0.0.1:10".parse().unwrap())]);
    let changes = told(&world, 5).await.changes;
    assert_eq!(changes.partners[0].settings, ["proxy"]);
    assert!(changes.plugins.is_empty(), "{changes:?}");
    // The same content again is none, and hides neither what was nor what was refused.
    assert_eq!(reload(&world).await.result, ReloadResult::Unchanged);
    assert_eq!(world.sum("portcullis_reloads_total", r#"result="ok""#), 4);
}

#[tokio::test]
async fn a_later_success_does_not_hide_what_was_refused() {
    let (mut world, _shelf) = world(allowing("one", &[])).await;
    world.rewrite_end(&allowing("one", &["not a domain"]));
    let refused = reload(&world).await;
    assert_eq!(refused.result, ReloadResult::Failed, "{refused:?}");
    assert_eq!(refused.changes.plugins[0].settings, ["config"]);
    world.rewrite_end(&allowing("one", &["beta.test"]));
    assert_eq!(reload(&world).await.generation, 2);
    let status = world.gateway.status();
    assert_eq!(status.last_reload.unwrap().generation, 2);
    let kept = status.last_refused.unwrap();
    assert!(kept.messages.join(" ").contains("not a domain"), "{kept:?}");
}

#[tokio::test]
async fn a_dry_run_tells_what_would_change_and_changes_nothing() {
    let (mut world, shelf) = world(allowing("one", &[])).await;
    let untouched = world.gateway.generations();
    // After a rollback the watcher keeps its hands off.
    world.rewrite_end(&allowing("one", &["beta.test"]));
    assert_eq!(reload(&world).await.generation, 2);
    let back = world.gateway.roll_back(None).await.unwrap();
    assert_eq!((back.generation, back.made_from), (3, Some(1)), "{back:?}");

    let (reloads, kept) = (
        world.sum("portcullis_reloads_total", ""),
        world.gateway.generations(),
    );
    shelf.put("a.wasm", &shelf.variant(1));
    let dry = world.gateway.dry_run().await.unwrap();
    assert_eq!(
        (dry.result, dry.purpose),
        (ReloadResult::Ok, Purpose::DryRun),
        "{dry:?}"
    );
    assert_eq!(dry.generation, 3);
    let plugin = &dry.changes.plugins[0];
    assert!(
        plugin.replaced && plugin.settings == ["config"],
        "{plugin:?}"
    );
    assert!(!dry.steps.iter().any(|step| step.name == "swap"), "{dry:?}");

    shelf.put("a.wasm", b"no component");
    let dry = world.gateway.dry_run().await.unwrap();
    assert_eq!(dry.result, ReloadResult::Failed, "{dry:?}");
    assert!(dry.messages.join(" ").contains("no WebAssembly"), "{dry:?}");

    assert!(!lets_in(&world, "beta.test").await);
    assert_eq!(world.gateway.generations(), kept);
    assert_eq!(world.sum("portcullis_reloads_total", ""), reloads);
    assert_eq!(world.gateway.status().last_refused, None);
    assert_eq!(untouched.kept.len(), 1);
    shelf.put("a.wasm", &shelf.variant(1));
    assert_eq!(reload(&world).await.generation, 4, "no number was taken");
}

#[tokio::test]
async fn what_cannot_be_built_changes_nothing_and_says_what_and_why() {
    let (mut world, shelf) = world(allowing("one", &["beta.test"])).await;
    let scripted = std::fs::read(build_plugin("host/policy/tests/guests/scripted")).unwrap();
    let importing = [
        b"\0asm\x0d\0\x01\0".as_slice(),
        &[7, 3, 1, 0x42, 0],
        &[10, 27, 1, 0, 22],
        b"wasi:sockets/tcp@0.2.0",
        &[5, 0],
    ]
    .concat();
    let other_version = [
        b"\0asm\x0d\0\x01\0".as_slice(),
        &[5, 3, 1, 1, 0],
        &[11, 40, 1, 0, 34],
        b"portcullis:policy/lifecycle@9.9.90",
        &[5, 0, 0],
    ]
    .concat();
    let half = &shelf.allowlist[..shelf.allowlist.len() / 2];
    for (what, component, said) in [
        (
            "no wasm",
            b"#!/bin/sh".as_slice(),
            "no WebAssembly component",
        ),
        ("a core module", b"\0asm\x01\0\0\0", "core module"),
        (
            "another world",
            b"\0asm\x0d\0\x01\0",
            "does not export `portcullis:policy/lifecycle`",
        ),
        ("another version", &other_version, "lifecycle@9.9.90"),
        (
            "an import that is not granted",
            &importing,
            "wasi:sockets/tcp@0.2.0",
        ),
        ("half a file", half, "does not compile"),
        ("nothing", b"", "no WebAssembly component"),
        ("too large", &vec![0; 9 << 20], "component_size"),
    ] {
        shelf.put("a.wasm", component);
        let refused = reload(&world).await;
        // The watcher may have tried the same before.
        let messages = refused.messages.join(" ");
        assert_eq!(
            (refused.result, refused.generation),
            (ReloadResult::Failed, 1),
            "{what}: {messages}"
        );
        assert!(
            messages.contains(said) && messages.contains("`one`"),
            "{what}: {messages}"
        );
        assert_eq!(world.gateway.status().last_refused, Some(refused), "{what}");
    }
    std::fs::remove_file(shelf.plugins.join("a.wasm")).unwrap();
    let vanished = reload(&world).await;
    assert_eq!(vanished.result, ReloadResult::Failed);
    assert!(
        vanished.messages.join(" ").contains("No such file"),
        "{vanished:?}"
    );
    shelf.put("a.wasm", &shelf.allowlist);
    assert_eq!(
        reload(&world).await.result,
        ReloadResult::Unchanged,
        "as it was"
    );

    shelf.put("scripted.wasm", &scripted);
    for (config, said) in [
        ("alow = []", "alow"),
        ("init = 'error'", "init = error"),
        ("init = 'panic'", "failed at"),
        ("stumble = true", "rehearsal"),
    ] {
        let plugin = format!(
            "[[plugin]]\nname = 'odd'\ncomponent = 'scripted.wasm'\n[plugin.config]\n{config}\n"
        );
        world.rewrite_end(&[allowing("one", &["beta.test"]), plugin].concat());
        let refused = reload(&world).await;
        let messages = refused.messages.join(" ");
        assert_eq!(
            (refused.result, refused.generation),
            (ReloadResult::Failed, 1),
            "{messages}"
        );
        assert!(
            messages.contains(said) && messages.contains("`odd`"),
            "{config}: {messages}"
        );
        assert_eq!(refused.changes.plugins[0].difference, Difference::Added);
    }
    assert!(lets_in(&world, "beta.test").await, "the old one judges");
    assert!(world.sum("portcullis_reloads_total", r#"result="failed""#) >= 13);
    assert_eq!(world.sum("portcullis_reloads_total", r#"result="ok""#), 0);
}

#[tokio::test]
async fn a_key_that_no_schema_knows_is_refused_on_reload_with_its_line_and_the_nearest_key() {
    let (mut world, _shelf) = world(allowing("one", &["beta.test"])).await;
    let wrong = allowing("one", &[]).replace("allow =", "alow =");
    world.rewrite_end(&wrong);
    let refused = reload(&world).await;
    assert_eq!(
        (refused.result, refused.generation),
        (ReloadResult::Failed, 1),
        "{refused:?}"
    );
    let file = world.rewrite(Vec::new());
    let text = std::fs::read_to_string(&file).unwrap();
    let line = text.lines().position(|line| line.starts_with("alow"));
    let messages = refused.messages.join("\n");
    let place = format!(
        "line {}: [plugin.config] of `one`: unknown key `alow`",
        line.unwrap() + 1
    );
    assert!(messages.contains(&place), "{place} is not in {messages}");
    assert!(messages.contains("did you mean `allow`?"), "{messages}");
    assert_eq!(world.gateway.status().last_refused, Some(refused));
    assert!(lets_in(&world, "beta.test").await, "the old one judges");
}

#[tokio::test]
async fn what_needs_a_restart_refuses_the_whole_change() {
    let (mut world, _shelf) = world(allowing("one", &[])).await;
    let file = world.rewrite(Vec::new());
    let good = std::fs::read_to_string(&file).unwrap();
    let changed = good.replace("allow = []", "allow = ['beta.test']");
    for (from, to, key) in [
        (
            "listen = ['127.0.0.1:0']",
            "listen = ['127.0.0.1:5269']",
            "[federation].listen",
        ),
        (
            "domains = [\"org.test\"]",
            "domains = [\"org.test\", \"more.org.test\"]",
            "domains",
        ),
        ("tls = 'starttls'", "tls = 'direct'", "[[internal.server]]"),
    ] {
        let both = changed.replace(from, to);
        assert_ne!(both, changed, "{from}");
        let both = both.replace(
            "[[internal.server]]\ndomains = ['org.test']",
            if key == "domains" {
                "[[internal.server]]\ndomains = ['org.test', 'more.org.test']"
            } else {
                "[[internal.server]]\ndomains = ['org.test']"
            },
        );
        std::fs::write(&file, both).unwrap();
        let refused = reload(&world).await;
        assert_eq!(
            (refused.result, refused.generation),
            (ReloadResult::Refused, 1),
            "{refused:?}"
        );
        assert!(refused.messages.join(" ").contains(key), "{refused:?}");
        assert!(
            !lets_in(&world, "beta.test").await,
            "{key}: nothing of it was applied"
        );
    }
    std::fs::write(&file, changed).unwrap();
    assert_eq!(reload(&world).await.generation, 2);
    assert!(lets_in(&world, "beta.test").await);
}

#[tokio::test]
async fn a_file_that_is_rewritten_ten_times_in_a_second_is_one_reload_at_the_end() {
    let (world, shelf) = world(allowing("one", &[])).await;
    for attempt in 1..=5 {
        let before = world.gateway.status().generation;
        let path = shelf.plugins.join("a.wasm");
        let variants: Vec<_> = (0..10).map(|n| shelf.variant(attempt * 10 + n)).collect();
        let last = sha256(&variants[9]);
        // In place, as compilers do: half of it can be seen.
        let writing = tokio::task::spawn_blocking(move || {
            let (mut widest, mut since) = (Duration::ZERO, Instant::now());
            for variant in variants {
                std::fs::write(&path, variant).unwrap();
                std::thread::sleep(Duration::from_millis(60));
                widest = widest.max(since.elapsed());
                since = Instant::now();
            }
            widest
        });
        let widest = writing.await.unwrap();
        let digest = || world.gateway.status().plugins[0].digest.clone();
        world
            .until(|| digest() == last, || format!("still {}", digest()))
            .await;
        let status = world.gateway.status();
        // Where the writer was held up the file rested in between, and was rightly read.
        if widest < portcullis_policy::watch::QUIET * 2 / 3 {
            assert_eq!(status.generation, before + 1, "{:?}", status.last_reload);
            return;
        }
    }
    panic!("this machine never wrote ten times in a second");
}

fn sha256(bytes: &[u8]) -> String {
    use sha2::Digest;
    let digest = sha2::Sha256::digest(bytes);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test]
async fn a_rollback_is_a_new_generation_that_files_do_not_undo_by_themselves() {
    let (mut world, shelf) = world(allowing("one", &["alpha.test"])).await;
    // In between nothing can be built, so that the watcher does not make two generations of it.
    std::fs::remove_file(shelf.plugins.join("a.wasm")).unwrap();
    world.rewrite_end(&allowing("one", &["beta.test"]));
    shelf.put("a.wasm", &shelf.variant(1));
    assert_eq!(reload(&world).await.generation, 2);
    world.rewrite_end(&allowing("one", &["gamma.test"]));
    assert_eq!(reload(&world).await.generation, 3);

    let back = world.gateway.roll_back(None).await.unwrap();
    assert_eq!((back.generation, back.made_from), (4, Some(2)), "{back:?}");
    assert!(lets_in(&world, "beta.test").await && !lets_in(&world, "gamma.test").await);
    assert_eq!(rolled_back(&world).unwrap().to, 2);
    assert!(rolled_back(&world).unwrap().files_differ);
    assert_eq!(world.sum("portcullis_rolled_back", ""), 1);

    // Further back, although the component has gone from the disk.
    std::fs::remove_file(shelf.plugins.join("a.wasm")).unwrap();
    let back = world.gateway.roll_back(None).await.unwrap();
    assert_eq!((back.generation, back.made_from), (5, Some(1)), "{back:?}");
    assert!(back.changes.plugins[0].replaced, "{back:?}");
    assert!(lets_in(&world, "alpha.test").await && !lets_in(&world, "beta.test").await);
    let back = world.gateway.roll_back(None).await.unwrap();
    assert_eq!(back.result, ReloadResult::Failed, "{back:?}");
    let back = world.gateway.roll_back(Some(77)).await.unwrap();
    assert!(
        back.messages.join(" ").contains("77 is not kept"),
        "{back:?}"
    );
    let back = world.gateway.roll_back(Some(3)).await.unwrap();
    assert_eq!((back.generation, back.made_from), (6, Some(3)), "{back:?}");
    assert!(lets_in(&world, "gamma.test").await);

    // Files that change by themselves are seen and change nothing.
    shelf.put("a.wasm", &shelf.variant(1));
    world.rewrite_end(&allowing("one", &["gamma.test"]));
    world
        .until(
            || !rolled_back(&world).unwrap().files_differ,
            || format!("{:?}", rolled_back(&world)),
        )
        .await;
    world.rewrite_end(&allowing("one", &["delta.test"]));
    world
        .until(
            || rolled_back(&world).unwrap().files_differ,
            || format!("{:?}", rolled_back(&world)),
        )
        .await;
    assert_eq!(world.gateway.status().generation, 6);
    // An operator's word ends it.
    let reload = reload(&world).await;
    assert_eq!(
        (reload.result, reload.generation),
        (ReloadResult::Ok, 7),
        "{reload:?}"
    );
    assert_eq!(world.gateway.status().rolled_back, None);
    assert!(lets_in(&world, "delta.test").await && !lets_in(&world, "gamma.test").await);
    let numbers: Vec<_> = (world.gateway.generations().kept.iter())
        .map(|kept| (kept.number, kept.made_from, kept.current))
        .collect();
    assert_eq!(numbers[0], (7, None, true));
    assert_eq!(numbers[1], (6, Some(3), false));
}

#[tokio::test]
async fn generations_and_a_rollback_outlive_the_process() {
    let (mut world, shelf) = world(allowing("one", &["alpha.test"])).await;
    world.rewrite_end(&allowing("one", &["beta.test"]));
    assert_eq!(reload(&world).await.generation, 2);
    shelf.put("a.wasm", &shelf.variant(1));
    let mut world = world.restart().await;
    assert_eq!(
        world.gateway.status().generation,
        3,
        "no number is used twice"
    );
    assert!(lets_in(&world, "beta.test").await);

    let back = world.gateway.roll_back(Some(1)).await.unwrap();
    assert_eq!((back.generation, back.made_from), (4, Some(1)), "{back:?}");
    // Nobody has touched the files: what was taken back does not come back by itself.
    let mut again = world.restart().await;
    assert_eq!(again.gateway.status().rolled_back.unwrap().to, 1);
    assert_eq!(again.gateway.status().generation, 5);
    assert!(lets_in(&again, "alpha.test").await && !lets_in(&again, "beta.test").await);
    // Somebody has: they are what an operator who restarts wants.
    again.rewrite_end(&allowing("one", &["gamma.test"]));
    let mended = again.restart().await;
    assert_eq!(mended.gateway.status().rolled_back, None);
    assert!(lets_in(&mended, "gamma.test").await && !lets_in(&mended, "alpha.test").await);
    world = mended.restart().await;
    assert!(lets_in(&world, "gamma.test").await);
}

#[tokio::test]
async fn a_disk_that_takes_nothing_stops_no_reload_and_is_told() {
    let prepared = prepare();
    let shelf = Shelf::new(prepared.dir());
    let data = prepared.dir().join("data");
    std::fs::create_dir(&data).unwrap();
    std::fs::write(data.join("generations"), "in the way").unwrap();
    let mut world = prepared
        .start(Plan {
            plugins: Some(shelf.plugins.clone()),
            more: allowing("one", &[]),
            ..Plan::default()
        })
        .await;
    world.rewrite_end(&allowing("one", &["beta.test"]));
    reload(&world).await;
    let told = world.gateway.status().last_reload.unwrap();
    assert_eq!(
        (told.result, told.generation),
        (ReloadResult::Ok, 2),
        "{told:?}"
    );
    assert!(
        told.messages.join(" ").contains("could not be kept"),
        "{told:?}"
    );
    assert!(lets_in(&world, "beta.test").await);
    assert_eq!(world.sum("portcullis_generations_not_kept_total", ""), 2);
    assert!(!world.gateway.generations().problems.is_empty());
}

#[tokio::test]
async fn a_component_in_another_directory_is_watched_too() {
    let (mut world, shelf) = world(allowing("one", &[])).await;
    let elsewhere = tempfile::tempdir().unwrap();
    let component = elsewhere.path().join("b.wasm");
    std::fs::write(&component, &shelf.allowlist).unwrap();
    let plugin = format!(
        "[[plugin]]\nname = 'b'\ncomponent = '{}'\n",
        component.display()
    );
    world.rewrite_end(&plugin);
    assert_eq!(reload(&world).await.generation, 2);
    std::fs::write(&component, shelf.variant(1)).unwrap();
    let generation = || world.gateway.status().generation;
    world
        .until(
            || generation() == 3,
            || format!("generation {}", generation()),
        )
        .await;
}

fn openssl(dir: &Path, arguments: &str) {
    let status = std::process::Command::new("openssl")
        .args(arguments.split(' '))
        .current_dir(dir)
        .stderr(std::process::Stdio::null())
        .status();
    assert!(status.unwrap().success(), "openssl {arguments}");
}

#[tokio::test]
async fn a_component_that_nobody_vouches_for_is_refused_and_a_rollback_brings_its_signature_along()
{
    let prepared = prepare();
    let shelf = Shelf::new(prepared.dir());
    let dir = prepared.dir().to_owned();
    openssl(&dir, "genpkey -algorithm ed25519 -out policy.key");
    openssl(&dir, "pkey -in policy.key -pubout -out policy.pub");
    let sign = || {
        let files = "-inkey policy.key -in shelf/a.wasm -out shelf/a.wasm.sig";
        openssl(&dir, &format!("pkeyutl -sign -rawin {files}"));
    };
    sign();
    let mut world = prepared
        .start(Plan {
            gateway: "plugin_keys = ['policy.pub']",
            plugins: Some(shelf.plugins.clone()),
            more: allowing("one", &["alpha.test"]),
            ..Plan::default()
        })
        .await;

    shelf.put("a.wasm", &shelf.variant(1));
    let refused = reload(&world).await;
    assert_eq!(
        (refused.result, refused.generation),
        (ReloadResult::Failed, 1),
        "{refused:?}"
    );
    assert!(
        refused.messages.join(" ").contains("is not the signature"),
        "{refused:?}"
    );
    let signature = shelf.plugins.join("a.wasm.sig");
    std::fs::remove_file(&signature).unwrap();
    let refused = reload(&world).await;
    assert!(
        refused.messages.join(" ").contains("it is not signed"),
        "{refused:?}"
    );

    world.rewrite_end(&allowing("one", &["beta.test"]));
    sign();
    assert_eq!(reload(&world).await.generation, 2);
    let back = world.gateway.roll_back(None).await.unwrap();
    assert_eq!(
        (back.result, back.made_from),
        (ReloadResult::Ok, Some(1)),
        "{back:?}"
    );
    assert!(lets_in(&world, "alpha.test").await);

    // A pin vouches, too; for one content only.
    std::fs::remove_file(&signature).unwrap();
    let pinned = |bytes: &[u8]| {
        let plugin = "[[plugin]]\nname = 'one'\ncomponent = 'a.wasm'\n";
        format!("{plugin}sha256 = '{}'\n", sha256(bytes))
    };
    world.rewrite_end(&pinned(&shelf.variant(1)));
    assert_eq!(reload(&world).await.generation, 4);
    world.rewrite_end(&pinned(&shelf.variant(2)));
    let refused = reload(&world).await;
    assert!(
        refused.messages.join(" ").contains("pins it to"),
        "{refused:?}"
    );
    // A key that was withdrawn vouches for nothing that comes back.
    openssl(&dir, "genpkey -algorithm ed25519 -out other.key");
    openssl(&dir, "pkey -in other.key -pubout -out policy.pub");
    world.rewrite_end(&pinned(&shelf.variant(1)));
    assert_eq!(reload(&world).await.generation, 5);
    let back = world.gateway.roll_back(Some(2)).await.unwrap();
    assert_eq!(
        (back.result, back.generation),
        (ReloadResult::Failed, 5),
        "{back:?}"
    );
    assert!(
        back.messages.join(" ").contains("is not the signature"),
        "{back:?}"
    );
}
