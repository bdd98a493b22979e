"""What the shells are offered, asked as they ask it."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

HEAVY = {"torch", "torchaudio", "av", "numpy", "cv2", "PIL", "scipy", "huggingface_hub"}
CODE = (
    "import sys\n"
    "from avis_cli.cli.main import run\n"
    "try:\n"
    "    run()\n"
    "finally:\n"
    f"    print(*({HEAVY!r} & set(sys.modules)), file=sys.stderr)\n"
)


def completed(line: str, shell: str = "bash") -> list[str]:
    """The words offered at the end of ``line``, which load nothing heavy."""
    words = line.split(" ")
    asked = {
        "bash": {"COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1)},
        "zsh": {"_TYPER_COMPLETE_ARGS": line},
        "fish": {"_TYPER_COMPLETE_ARGS": line, "_TYPER_COMPLETE_FISH_ACTION": "get-args"},
    }[shell]
    done = subprocess.run(
        [sys.executable, "-c", CODE],
        capture_output=True, text=True, check=False, timeout=60,
        env={**os.environ, "_AVIS_COMPLETE": f"complete_{shell}", **asked},
    )  # fmt: skip
    assert done.returncode == 0
    assert done.stderr.strip() == ""
    return done.stdout.split("\n")[:-1] if done.stdout.strip() else []


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("avis segment --model avism-r50", ["avism-r50-in", "avism-r50-coco"]),
        ("avis segment clip.mp4 --style s", ["spotlight"]),
        ("avis segment clip.mp4 --style ", ["fill", "outline", "blur-background", "spotlight", "mute"]),
        ("avis segment clip.mp4 --palette t", ["tol-bright"]),
        ("avis segment clip.mp4 --precision f", ["fp32", "fp16"]),
        ("avis segment clip.mp4 --only overlay,m", ["overlay,masks"]),
        ("avis segment clip.mp4 --only overlay,", ["overlay,masks", "overlay,tracks", "overlay,report"]),
        ("avis segment clip.mp4 --device c", ["cpu", "cuda"]),
        ("avis export tracks.json --to c", ["coco", "cvat", "csv"]),
        ("avis train --preset avism-t", ["avism-tiny"]),
        ("avis train --init avism-s", ["avism-swinl-in", "avism-swinl-coco"]),
        ("avis train --without a", ["audio"]),
        ("avis evaluate --model avism-tiny", ["avism-tiny"]),
        ("avis evaluate --format ", ["table", "json", "csv", "md"]),
        ("avis synth out --split t", ["train", "test"]),
        ("avis weights pull avism-swinl-i", ["avism-swinl-in"]),
        ("avis weights verify avism-tiny avism-r50-i", ["avism-r50-in"]),
        ("avis weights import file --name avism-r50-c", ["avism-r50-coco"]),
        ("avis seg", ["segment"]),
        ("avis segment --thr", ["--threshold"]),
        ("avis segment cli", []),  # files are the shell's own to complete
    ],
)
def test_names_are_completed(line: str, expected: list[str]) -> None:
    assert completed(line) == expected


@pytest.mark.parametrize(
    ("shell", "expected"), [("zsh", '"avism-tiny":"trained on synthetic clips'), ("fish", "avism-tiny\ttrained on")]
)
def test_shells_that_show_more_are_told_what_a_model_knows(shell: str, expected: str) -> None:
    assert any(expected in line for line in completed("avis segment --model avism-t", shell))
