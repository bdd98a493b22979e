"""The recording of a first use in docs/quickstart.md is what the commands say now."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest
from paths import ROOT

PAGE = ROOT / "docs" / "quickstart.md"
VARIES = re.compile(r"[0-9a-f]{64}|(?<=downloading:).*|\d[\d.]* MB")  # with the machine


@pytest.mark.slow
def test_the_recording_is_current() -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    script = [sys.executable, str(ROOT / "docs" / "make_first_use.py"), "--print"]
    made = subprocess.run(script, capture_output=True, text=True, check=True, env=environment).stdout
    _, _, rest = PAGE.read_text(encoding="utf-8").partition("<!-- first use -->\n\n```text\n")
    written, _, _ = rest.partition("```\n")
    # a download that takes no time may draw nothing
    lines = [
        [VARIES.sub("N", line) for line in text.splitlines() if not line.startswith("downloading")]
        for text in (written, made)
    ]
    assert lines[0] == lines[1], "run `python docs/make_first_use.py`"
