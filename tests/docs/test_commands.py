"""docs/commands.md is what the command line says about itself now."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from typing import Any

import pytest
from paths import ROOT

DOCS = ROOT / "docs"
SCRIPT = DOCS / "make_commands.py"


@pytest.fixture(scope="module")
def maker() -> Any:
    spec = importlib.util.spec_from_file_location("make_commands", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_current(maker: Any) -> None:
    written = (DOCS / "commands.md").read_text(encoding="utf-8")
    assert written == maker.page(), "run `python docs/make_commands.py`"


def test_every_command_and_option_is_on_the_page(maker: Any) -> None:
    from typer.main import get_command

    from avis_cli.cli.main import app

    page = maker.page()
    for name, command in get_command(app).commands.items():  # type: ignore[attr-defined]
        for inner in getattr(command, "commands", {"": command}):
            assert f"\n## {f'avis {name} {inner}'.strip()}\n" in page
        for option in (text for parameter in command.params for text in [*parameter.opts, *parameter.secondary_opts]):
            assert not option.startswith("--") or f"`{option}`" in page


def test_the_width_of_the_terminal_does_not_matter(maker: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    before = maker.page()
    monkeypatch.setenv("COLUMNS", "40")
    assert maker.page() == before


def test_making_it_loads_nothing_heavy() -> None:
    code = f"import runpy, sys; runpy.run_path({str(SCRIPT)!r}); print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not set(run.stdout.split()) & {"torch", "numpy", "av", "cv2"}
