"""`avis evaluate` run in process: its exit code and what it printed."""

from __future__ import annotations

import pytest

from avis_cli.cli.main import main


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """(exit code, stdout, stderr) of the command, in one process."""
    code = main(["evaluate", "--jobs", "1", *arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def refused(capsys: pytest.CaptureFixture[str], code: int, *arguments: str) -> str:
    """The one line on stderr of a call that ends with ``code``."""
    found, out, err = run(capsys, *arguments)
    assert found == code, err
    assert out == ""
    assert err.startswith("avis: ")
    assert err.count("\n") == 1
    return err
