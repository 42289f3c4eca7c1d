import sys
import pathlib

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))

from ground import Ground  # noqa: E402  (the path comes first)
from world import World  # noqa: E402

WORLDS = [("prosody", "direct"), ("prosody", "starttls"), ("ejabberd", "direct"), ("ejabberd", "starttls")]


@pytest.fixture(scope="module", params=WORLDS, ids=lambda p: f"{p[0]}-inside-{p[1]}")
def world(request):
    world = World(*request.param)
    yield world
    world.stop()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport():
    report = yield
    if report.failed and Ground.last:
        report.sections.append(("the gateway's log", Ground.last.log()))
    return report
