"""A plugin author who has the README and nothing else: writes a crate, builds it, and swaps it in production."""

import pathlib
import re
import shutil
import uuid

import pytest

from ground import BINARY, ROOT, run
from world import World


@pytest.fixture(scope="module")
def world():
    world = World("prosody", "direct")
    yield world
    world.stop()


def test_the_readmes_plugin_is_built_swapped_in_broken_and_mended(world):
    crate = world.directory / "no-shouting"
    write_from_readme(crate)
    print(run([BINARY, "plugin", "build", crate], env=environment()))
    component = crate / "target" / "plugins" / "no_shouting.wasm"
    assert component.exists()

    alice, olga = world.alice, world.olga
    shout = "STOP SHOUTING"
    world.run(olga.say("alice@alpha.test", shout))
    world.run(alice.body(shout))

    # In: takes effect without restart.
    before = world.generation()
    shutil.copy(component, world.directory / "plugins")
    world.configure(extra='\n[[plugin]]\nname = "no-shouting"\ncomponent = "no_shouting.wasm"\n')
    world.wait_generation(before)
    identifier = world.run(olga.say("alice@alpha.test", shout))
    assert world.run(olga.error(identifier)) == "policy-violation"
    quiet = f"a quiet word {uuid.uuid4().hex}"
    world.run(olga.say("alice@alpha.test", quiet))
    world.run(alice.body(quiet))

    # Broken: nothing changes, and the log says why.
    before, place = world.generation(), world.directory / "plugins" / "no_shouting.wasm"
    place.write_bytes(b"this is no component")
    world.gateway.wait_until(lambda: any("no-shouting" in line and "reload" in line.lower() for line in world.gateway.output().splitlines()
                                         if "WARN" in line or "ERROR" in line), "a line that says why", 30)
    assert world.generation() == before
    identifier = world.run(olga.say("alice@alpha.test", shout))
    assert world.run(olga.error(identifier)) == "policy-violation"
    status = run([BINARY, "status", "--config", world.directory / "portcullis.toml"])
    assert "no-shouting" in status and "no_shouting.wasm" in status, status

    # Better: a new build, swapped in by replacing the file.
    source = crate / "src" / "lib.rs"
    text = source.read_text()
    assert "policy-violation" in text or "PolicyViolation" in text
    source.write_text(text.replace("PolicyViolation", "NotAcceptable"))
    run([BINARY, "plugin", "build", crate], env=environment())
    shutil.copy(component, place)
    world.wait_generation(before)
    identifier = world.run(olga.say("alice@alpha.test", shout))
    assert world.run(olga.error(identifier)) == "not-acceptable"
    world.gateway.wait_until(lambda: len(set(world.balance())) == 1, "balance", 30)


def environment():
    import os
    return {**os.environ, "CARGO_TERM_COLOR": "never"}


def write_from_readme(crate):
    """What the README says under "Write a plugin": the new crate, and in it the code as it stands there. The crate's own test and
    fixture are of the plugin that it was made with, and go with it."""
    run([BINARY, "plugin", "new", crate.name, "--kind", "filter", "--dir", crate.parent, "--sdk", ROOT])
    readme = (ROOT / "README.md").read_text()
    section = readme.split("## Write a plugin", 1)[1].split("\n## ", 1)[0]
    (crate / "src" / "lib.rs").write_text(re.search(r"```rust\n(.*?)```", section, re.S).group(1))
    shutil.rmtree(crate / "fixtures")
