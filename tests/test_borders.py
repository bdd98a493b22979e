"""Who may import whom, and how light the package's surface is."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import avis_cli
from avis_cli.models import SYSTEMS

PACKAGE = Path(avis_cli.__file__).parent

# room -> rooms it may import besides those of EVERYWHERE and itself
ALLOWED: dict[str, set[str]] = {
    "text": set(),
    "errors": set(),
    "progress": set(),
    "version": set(),
    "threads": set(),
    "memory": set(),
    "options": {"writers"},
    "files": set(),
    "media": {"files"},
    "nn": set(),
    "models": {"nn"},
    "hub": {"files", "nn", "models"},
    "results": {"files", "media"},
    "inference": {"options", "media", "results", "nn", "models", "hub"},
    "segment": {"options", "media", "results", "nn", "inference"},
    "stream": {"options", "media", "results", "nn", "models", "inference"},
    "live": {"options", "files", "media", "results", "inference", "stream", "writers", "outputs"},
    "serve": {"results", "writers"},
    "writers": {"files", "media", "results"},
    "export": {"files", "media", "results", "writers"},
    "outputs": {"options", "files", "media", "results", "writers", "export"},
    "datasets": {"files", "media", "results"},
    "evaluate": {"files", "results", "datasets"},
    "train": {"files", "media", "results", "nn", "models", "hub", "inference", "datasets", "evaluate"},
    "batch": {"options", "files", "media", "results", "datasets", "hub", "inference", "segment", "writers", "outputs"},
    "cli": {
        "options", "files", "media", "results", "hub", "inference", "segment", "writers", "export", "outputs",
        "datasets", "evaluate", "train", "batch", "stream", "live", "serve",
    },
    "__main__": {"cli"},
}  # fmt: skip
EVERYWHERE = {"errors", "progress", "version", "text", "threads", "memory"}
TENSORS = {"nn", "models", "hub", "inference", "segment", "stream", "train"}
HOMES = {
    "av": {"media"}, "ray": {"batch"}, "torch": TENSORS, "torchaudio": TENSORS, "typer": {"cli"},
    "tqdm": {"cli", "hub"},
}  # fmt: skip


def _files() -> list[Path]:
    return sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")


def _room(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def _imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("path", _files(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_each_file_imports_only_what_its_room_may(path: Path) -> None:
    room = _room(path)
    for name in _imported(path):
        parts = name.split(".")
        if parts[0] == "avis_cli" and len(parts) > 1 and (parts[1] in ALLOWED):
            assert parts[1] in ALLOWED[room] | EVERYWHERE | {room}, f"{room} imports {name}"
        if parts[0] in HOMES:
            assert room in HOMES[parts[0]], f"{path.name} imports {name}"


@pytest.mark.parametrize("family", SYSTEMS)
def test_a_system_imports_no_other(family: str) -> None:
    others = {f"avis_cli.models.{other}" for other in SYSTEMS if other != family}
    for path in sorted((PACKAGE / "models" / family).rglob("*.py")):
        for name in _imported(path):
            assert not name.startswith(tuple(f"{other}." for other in others)), f"{path.name} imports {name}"
            assert name not in others, f"{path.name} imports {name}"


def _loaded_by(code: str) -> set[str]:
    listing = subprocess.run(
        [sys.executable, "-c", f"import sys; {code}; print(*sys.modules)"], capture_output=True, text=True, check=True
    )
    return set(listing.stdout.splitlines()[-1].split())


def test_importing_the_package_loads_nothing_heavy() -> None:
    assert not _loaded_by("import avis_cli") & {"torch", "numpy", "av", "cv2", "typer"}


def test_options_load_nothing_heavy() -> None:
    loaded = _loaded_by(
        "from avis_cli.options import SegmentOptions; SegmentOptions(fps='2', start='1:02', only='masks')"
    )
    assert not loaded & {"torch", "numpy", "av", "cv2", "typer"}


def test_help_loads_nothing_heavy() -> None:
    loaded = _loaded_by("from avis_cli.cli.main import main; main(['--help']); main(['segment', '--help'])")
    assert not loaded & {"torch", "numpy", "av", "cv2", "scipy", "huggingface_hub", "pycocotools"}


def test_segment_and_evaluate_are_callable_in_any_order_of_import() -> None:
    code = "import avis_cli.segment, avis_cli.evaluate; import avis_cli; assert callable(avis_cli.segment); "
    code += "assert callable(avis_cli.evaluate); assert callable(avis_cli.load_model)"
    assert "torch" in _loaded_by(code)


def test_help_in_a_session_is_that_of_the_functions() -> None:
    from avis_cli.segment import segment_frames

    assert inspect.isfunction(avis_cli.segment)
    assert inspect.isfunction(avis_cli.evaluate)
    assert avis_cli.segment_frames is segment_frames
    assert "ClipResult" in str(inspect.signature(avis_cli.segment))
    with pytest.raises(AttributeError, match="has no attribute 'segmnt'"):
        avis_cli.segmnt  # noqa: B018
