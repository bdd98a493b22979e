"""What every test shares: one thread per process for small tensors, and no user settings from outside."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

DATA = Path(__file__).parent / "data"


@pytest.fixture(autouse=True)
def _own_settings(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    for name in list(os.environ):
        if name.startswith(("AVIS_", "HF_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AVIS_HOME", str(tmp_path_factory.mktemp("avis_home")))
