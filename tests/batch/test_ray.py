"""A real Ray cluster of this machine: workers that are killed, an input that none survives, a driver that is killed."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import cluster_faults
import pytest
from media_factory import make_clip

from avis_cli.batch.executors.ray import ClusterOptions, _workers, connected
from avis_cli.cli.main import main
from avis_cli.errors import ClusterError, UsageError


@pytest.mark.slow
def test_nothing_is_lost_and_nothing_done_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_raylet_start_wait_time_s", "180")
    faults = cluster_faults.Faults(kills=2, remove=None, restart=3)
    found = cluster_faults.trial(tmp_path, cluster_faults.SAMPLE, 5, faults, ["--mask-fps", "1", "--only", "tracks"])
    assert found["workers killed in the middle of an input"] == 2, found
    assert found["workers killed by the poison"] == 3, found
    assert found["drivers killed"] == 1, found
    assert (found["done"], found["done twice"], found["given up"]) == (5, 0, [cluster_faults.POISON]), found
    assert found["differing files"] == [], found
    assert found["left behind"] == [], found
    assert found["exit code"] == 3, found


@pytest.fixture
def nobody() -> str:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{listening.getsockname()[1]}"


@pytest.mark.parametrize("kind", ["", "ray://"])
def test_a_cluster_that_is_not_there_is_told_at_once(
    nobody: str, kind: str, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    make_clip(tmp_path / "clip.mp4", size=(64, 48), fps=5, seconds=1, audio="tone")
    assert main(["segment", "clip.mp4", "--cluster", kind + nobody]) == 1
    err = capfd.readouterr().err
    assert err.startswith(f"avis: no Ray cluster at '{kind}{nobody}' (")
    assert err.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["clip.mp4"]


def test_without_ray_the_extra_is_named(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.chdir(tmp_path)
    make_clip(tmp_path / "clip.mp4", size=(64, 48), fps=5, seconds=1, audio="tone")
    assert main(["segment", "clip.mp4", "--cluster", "local"]) == 2
    assert capfd.readouterr().err == (
        "avis: --cluster needs Ray, which is not installed; pip install 'avis-cli[ray]'\n"
    )
    assert [path.name for path in tmp_path.iterdir()] == ["clip.mp4"]


def test_without_a_cluster_ray_is_not_imported(tmp_path: Path) -> None:
    make_clip(tmp_path / "clip.mp4", size=(64, 48), fps=5, seconds=1, audio="tone")
    code = (
        "import sys; from avis_cli.cli.main import main; code = main(['segment', 'clip.mp4', '--only', 'tracks']); "
        "print('ray' in sys.modules, code)"
    )
    ran = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert ran.stdout.splitlines()[-1] == "False 0"


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (ClusterOptions("auto", None, 1, 0), 8),
        (ClusterOptions("auto", None, 3, 0), 2),
        (ClusterOptions("auto", None, 1, 1), 2),
        (ClusterOptions("auto", None, 0.5, 0.25), 8),
        (ClusterOptions("auto", 3, 1, 0), 3),
        (ClusterOptions("auto", 50, 1, 0), 50),  # it may grow
        (ClusterOptions("local", 50, 1, 0), 8),  # this machine does not
        (ClusterOptions("local", 3, 1, 0), 3),
    ],
)
def test_there_are_as_many_workers_as_there_is_room_for(options: ClusterOptions, expected: int) -> None:
    assert _workers({"CPU": 8.0, "GPU": 2.0}, options) == expected


def test_a_cluster_without_room_for_one_worker_is_told() -> None:
    with pytest.raises(UsageError, match="a worker of 1 CPU and 1 GPU, but the cluster has 8 and 0"):
        _workers({"CPU": 8.0}, ClusterOptions("auto", None, 1, 1))
    with pytest.raises(UsageError, match="a worker of 9 CPU"):
        _workers({"CPU": 8.0}, ClusterOptions("local", 1, 9, 0))


def test_an_address_of_no_cluster_raises(nobody: str) -> None:
    with pytest.raises(ClusterError, match="no Ray cluster"), connected(ClusterOptions(nobody)):
        pass
    assert os.environ["RAY_USAGE_STATS_ENABLED"] == "0"
