"""Weights files that were made to harm end in one line, soon and in little memory."""

from __future__ import annotations

import subprocess
import sys
import warnings
from pathlib import Path

import pytest
from hostile_weights import (
    SMALL,
    hostile_files,
    sound_metadata,
    write_safetensors,
)

import avis_cli
from avis_cli.errors import AvisError

LISTED = list(hostile_files())
FILES = {name: (suffix, write) for name, suffix, write in LISTED}
LARGE = {"header-of-99-mb", "header-spaces", "pickle-deflated"}  # slow to write: once, in the test of memory


def _write(folder: Path, name: str) -> Path:
    suffix, write = FILES[name]
    path = folder / f"w{suffix}"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        write(path)
    return path


def test_there_are_many_files_and_each_has_a_name_of_its_own() -> None:
    assert len(LISTED) == len(FILES) > 120


def test_the_network_that_they_are_made_of_is_sound(tmp_path: Path) -> None:
    write_safetensors(tmp_path / "w.safetensors", sound_metadata())
    assert avis_cli.load_model(tmp_path / "w.safetensors").config == SMALL


@pytest.mark.parametrize("name", sorted(FILES.keys() - LARGE))
def test_a_hostile_file_ends_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    path = _write(tmp_path, name)
    with pytest.raises(AvisError) as caught:
        avis_cli.load_model(path)
    line = str(caught.value)
    assert line.isprintable()
    assert len(line) < 1500
    assert not (tmp_path / "ran").exists()


ALLOWED = 700 << 20  # bytes of address space beside what is taken when everything is imported
BOUNDED = """
import resource, sys
import avis_cli.inference.loading, avis_cli.models.avism.system
import avis_cli
from avis_cli.errors import AvisError
import torch
torch.nn.Linear(8, 8)(torch.ones(1, 8))  # whatever starts late has started
with open("/proc/self/statm") as file:
    taken = int(file.read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (taken + int(sys.argv[1]),) * 2)
for path in sys.argv[2:]:
    try:
        avis_cli.load_model(path)
        print("loaded", path)
    except AvisError:
        continue
    except BaseException as error:
        print(type(error).__name__, path)
"""
WORST = (
    "header-", "pickle-deflated", "pickle-overlapping", "pickle-dictionaries", "pickle-tensor", "pickle-old",
    "pickle-storage", "pickle-buffer", "metadata-a-large", "config-6-", "config-10", "config-11",
    "metadata-family-long",
)  # fmt: skip


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits of address space as Linux has them")
def test_no_hostile_file_takes_much_memory(tmp_path: Path) -> None:
    paths = []
    for name in (name for name in sorted(FILES) if name.startswith(WORST)):
        (tmp_path / name).mkdir()
        paths.append(str(_write(tmp_path / name, name)))
    command = [sys.executable, "-c", BOUNDED, str(ALLOWED), *paths]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr[-2000:]
