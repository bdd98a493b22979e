"""Records the first use of a released model in docs/quickstart.md: ``python docs/make_first_use.py``; with ``--print``
it is printed only.

The network is not asked: a server on the loopback stands for Google Drive and has a checkpoint of a small network under
the published name. What the commands say is written as it is, but for folders and for the bar, of which the last state
stays.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import torch

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from acvis_examples import small  # noqa: E402
from fake_files import FakeFiles, serve  # noqa: E402

from avis_cli.cli import console  # noqa: E402
from avis_cli.cli.main import main as avis  # noqa: E402
from avis_cli.hub import manifest, sources  # noqa: E402
from avis_cli.models.acvis import checkpoint  # noqa: E402
from avis_cli.models.acvis.config import PRESETS  # noqa: E402
from avis_cli.models.acvis.system import build  # noqa: E402

PAGE = Path(__file__).with_name("quickstart.md")
MODEL, FILE = "acvis-r50-coco", "ACVIS_R50_COCO.pth"
BEGIN, END = "<!-- first use -->\n\n", "<!-- end of first use -->\n"


class Terminal(io.StringIO):
    """Text as a terminal shows it, of a bar that was drawn over its last state."""

    def isatty(self) -> bool:
        return True

    def shown(self) -> str:
        lines: list[str] = []
        for line in re.sub(r"\x1b\[[A-Z]", "", self.getvalue()).split("\n"):
            drawn = [state.strip() for state in line.split("\r") if state.strip()]
            lines += [state for state in drawn[:-1] if state.startswith("downloading")][-1:]
            lines += drawn[-1:]
        return "\n".join(lines)


def checkpoint_of_a_small_network(folder: Path) -> bytes:
    """What stands for the authors' file."""
    torch.manual_seed(0)
    network = build(PRESETS[MODEL])
    torch.save({"model": checkpoint.naming(network.config).to_released(network.state_dict())}, folder / FILE)
    return (folder / FILE).read_bytes()


def record(command: str, home: Path) -> str:
    """The command, and what it says."""
    terminal = Terminal()
    with contextlib.redirect_stdout(terminal), contextlib.redirect_stderr(terminal):
        avis(command.split()[1:])
    return f"$ {command}\n{terminal.shown()}".replace(str(home), "~/.local/share/avis")


def session(server: FakeFiles, home: Path) -> str:
    """Fetched with a break on the way, listed, used."""
    size = len(server.drive["ID"][1])
    server.cuts = [size // 2, *([0] * 6)]  # the connection breaks half-way and does not come back
    first = record(f"avis weights pull {MODEL}", home)
    second = record(f"avis weights pull {MODEL}", home)
    used = record(f"avis segment samples/two_bells.mp4 --end 2 --only tracks --model {MODEL}", home)
    return "\n\n".join((first, second, used)) + "\n"


def main() -> None:
    known = manifest.load_manifest()
    entry = replace(known.models[MODEL], sources=("https://drive.google.com/file/d/ID/view",))
    sys.modules["avis_cli.hub.lookup"].load_manifest = lambda: replace(  # type: ignore[attr-defined]
        known, models={**known.models, MODEL: entry}
    )
    PRESETS[MODEL] = small(MODEL)
    console.draws = lambda: True
    with tempfile.TemporaryDirectory() as name, serve() as server:
        folder = Path(name)
        os.environ["AVIS_HOME"] = str(folder)
        os.environ.pop("AVIS_OFFLINE", None)
        sources.DRIVE = server.url
        server.drive["ID"] = (FILE, checkpoint_of_a_small_network(folder))
        (folder / "samples").symlink_to(ROOT / "samples")
        os.chdir(folder)  # where the results go
        text = session(server, folder)
        os.chdir(ROOT)
    if "--print" in sys.argv:
        sys.stdout.write(text)
        return
    page = PAGE.read_text(encoding="utf-8")
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text(f"{before}{BEGIN}```text\n{text}```\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
