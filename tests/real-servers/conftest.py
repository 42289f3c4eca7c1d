import sys
import pathlib

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))

from world import World  # noqa: E402  (the path comes first)

WORLDS = [("prosody", "direct"), ("prosody", "starttls"), ("ejabberd", "direct"), ("ejabberd", "starttls")]


@pytest.fixture(scope="module", params=WORLDS, ids=lambda p: f"{p[0]}-inside-{p[1]}")
def world(request):
    world = World(*request.param)
    failed_before = request.session.testsfailed
    yield world
    log = world.gateway.output()
    world.stop()
    if request.session.testsfailed > failed_before:
        print("the gateway's log:\n" + "\n".join(log.splitlines()[-200:]))
