"""How threads wait is set before PyTorch is loaded, for child processes too, and never over the user's own choice."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from avis_cli.threads import SPINS, limit_spinning, policy

PROGRAM = "import os, sys; {} print(os.environ.get('GOMP_SPINCOUNT'), os.environ.get('KMP_BLOCKTIME'))"
NAMES = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")


def run(code: str, **own: str) -> list[str]:
    clean = {name: value for name, value in os.environ.items() if name not in NAMES}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(code)], env={**clean, **own}, capture_output=True, text=True, check=True
    )
    return done.stdout.split()


def test_importing_the_package_limits_spinning_and_loads_no_torch() -> None:
    assert run("import avis_cli; assert 'torch' not in sys.modules;") == [SPINS, "1"]


def test_child_processes_have_it_too() -> None:
    child = "'import os; print(os.environ[\"GOMP_SPINCOUNT\"])'"
    assert run(f"import avis_cli, subprocess; subprocess.run([sys.executable, '-c', {child}]);")[0] == SPINS


@pytest.mark.parametrize("own", [{"OMP_WAIT_POLICY": "active"}, {"GOMP_SPINCOUNT": "7"}, {"KMP_BLOCKTIME": "200"}])
def test_what_the_user_has_chosen_stays(own: dict[str, str]) -> None:
    assert run("import avis_cli;", **own) == [own.get("GOMP_SPINCOUNT", "None"), own.get("KMP_BLOCKTIME", "None")]
    environment = dict(own)
    assert not limit_spinning(environment)
    assert environment == own
    (name, value) = next(iter(own.items()))
    assert policy(environment) == f"threads wait by {name}={value}"


def test_a_runtime_that_is_loaded_is_left_alone() -> None:
    assert run("import torch, avis_cli;") == ["None", "None"]
    assert policy({}) == "threads wait as the OpenMP runtime likes"
