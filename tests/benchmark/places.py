"""Where things are."""

import os
import pathlib

ROOT = pathlib.Path(__file__).resolve().parents[2]
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
GATEWAY = TARGET / "release" / "portcullis"
LOAD = TARGET / "release" / "portcullis-load"
PLUGINS = TARGET / "plugins"
RESULTS = TARGET / "bench"
