"""``avis doctor``: whether this machine has what avis needs, and what to do where it has not."""

from __future__ import annotations

import importlib.metadata
import platform
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Annotated

import typer

from avis_cli import memory
from avis_cli.cli import console
from avis_cli.cli.console import Debug
from avis_cli.errors import AvisError
from avis_cli.threads import policy
from avis_cli.version import __version__

PACKAGES = (
    "torch",
    "torchaudio",
    "av",
    "numpy",
    "opencv-python",
    "pycocotools",
    "huggingface-hub",
    "gdown",
    "safetensors",
)
SAME_PACKAGE = {
    "opencv-python": ("opencv-python-headless", "opencv-contrib-python", "opencv-contrib-python-headless"),
}
"""Other distributions of what a package brings: machines without a screen often have OpenCV as one of these."""


@dataclass(frozen=True)
class Finding:
    """One line of the report; ``hint`` says what to do when ``ok`` is false."""

    ok: bool
    what: str
    detail: str
    hint: str | None = None


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="One JSON array instead of text.")] = False,
    debug: Debug = False,
) -> None:
    """Check this machine: versions, devices, codecs, weights. Exit code 1 if something needed is missing."""
    findings = [finding for check in _CHECKS for finding in _run(check)]
    if as_json:
        import json
        from dataclasses import asdict

        console.result(json.dumps([asdict(finding) for finding in findings], ensure_ascii=True))
    else:
        for finding in findings:
            mark = "ok  " if finding.ok else "FAIL"
            hint = f"; {finding.hint}" if finding.hint and not finding.ok else ""
            console.result(f"{mark}  {finding.what:<14} {finding.detail}{hint}")
    broken = [finding.what for finding in findings if not finding.ok]
    if broken:
        raise AvisError(f"not ready: {', '.join(broken)}", hint="do what the lines marked FAIL say")


def _run(check: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    # a broken installation breaks in any way it likes: that is the finding
    try:
        yield from check()
    except AvisError as failure:
        where = "" if failure.file is None else f"{failure.file}: "
        yield Finding(False, _name(check), where + failure.cause, failure.hint)
    except Exception as failure:
        if memory.is_exhausted(type(failure).__name__, str(failure)):
            yield Finding(False, _name(check), console.out_of_memory())
            return
        cause = " ".join(f"{type(failure).__name__}: {failure}".split())
        yield Finding(False, _name(check), cause, "pip install --force-reinstall avis-cli")


def _name(check: Callable[[], Iterator[Finding]]) -> str:
    return check.__name__.strip("_")


def _versions() -> Iterator[Finding]:
    yield Finding(True, "avis", f"{__version__}, Python {platform.python_version()}, {platform.platform()}")
    for package in PACKAGES:
        found = next(filter(_is_installed, (package, *SAME_PACKAGE.get(package, ()))), None)
        if found is None:
            yield Finding(False, package, "not installed", f"pip install {package}")
        else:
            yield Finding(True, found, importlib.metadata.version(found))


def _is_installed(package: str) -> bool:
    try:
        importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def _devices() -> Iterator[Finding]:
    from avis_cli.inference import intra_op
    from avis_cli.inference.loading import available_devices

    for name, detail in available_devices():
        yield Finding(True, f"device {name}", detail)
    yield Finding(True, "threads", f"{intra_op.policy()}; {policy()}")


def _codecs() -> Iterator[Finding]:
    from avis_cli.media.encode import missing_encoders

    missing = missing_encoders()
    detail = "H.264 and AAC encoders present" if not missing else f"no encoder for {', '.join(missing)}"
    yield Finding(not missing, "codecs", detail, "install PyAV's own wheel: pip install --force-reinstall av")


def _weights() -> Iterator[Finding]:
    from avis_cli import hub
    from avis_cli.hub.lookup import default_model

    resolved = hub.resolve(None, offline=True)
    _, chosen_by = default_model(hub.load_manifest())
    yield Finding(True, "weights", f"{resolved.name} ({resolved.path}), chosen by {chosen_by}")


def _disk() -> Iterator[Finding]:
    free = shutil.disk_usage(".").free / 2**30
    yield Finding(free > 1, "disk", f"{free:.1f} GiB free here", "free at least 1 GiB")


_CHECKS: tuple[Callable[[], Iterator[Finding]], ...] = (_versions, _devices, _codecs, _weights, _disk)
