"""Released weights by name: from one source after the other, checked, converted once, pinned; never when offline."""

from __future__ import annotations

import hashlib
import os
import shutil
import socket
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from acvis_examples import small
from fake_files import COMMIT, FakeFiles, serve

from avis_cli.cli.main import main
from avis_cli.errors import AvisError, WeightsError
from avis_cli.hub import acquire, download, manifest, resolve, sources, store, weights_file
from avis_cli.hub.manifest import Entry, PublicFile, load_manifest
from avis_cli.models.acvis import checkpoint
from avis_cli.models.acvis.config import PRESETS
from avis_cli.models.acvis.system import build

NAME, FILE = "acvis-r50-coco", "ACVIS_R50_COCO.pth"
SPACE, DRIVE = "hf://spaces/who/what", "https://drive.google.com/file/d/ID/view?usp=sharing"


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A checkpoint as the authors' program leaves it, of a small network."""
    network = build(small(NAME))
    tensors = checkpoint.naming(network.config).to_released(network.state_dict())
    path = tmp_path_factory.mktemp("released") / FILE
    torch.save({"model": tensors, "iteration": 1}, path)
    return path.read_bytes()


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory, released: bytes) -> bytes:
    """A checkpoint that lacks a tensor."""
    folder = tmp_path_factory.mktemp("other")
    (folder / FILE).write_bytes(released)
    content = torch.load(folder / FILE, weights_only=True)
    content["model"].popitem()
    torch.save(content, folder / FILE)
    return (folder / FILE).read_bytes()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, released: bytes) -> Iterator[FakeFiles]:
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.delenv("AVIS_OFFLINE")
    monkeypatch.setattr(download, "WAITS", (0.0, 0.0))
    monkeypatch.setattr(acquire, "POLL", 0.05)
    for preset in PRESETS:
        monkeypatch.setitem(PRESETS, preset, small(preset))
    with serve() as running:
        running.drive["ID"] = (FILE, released)
        running.space = {"app.py": b"", "weights/" + FILE: released}
        running.files["/" + FILE] = released
        monkeypatch.setattr(sources, "DRIVE", running.url)
        monkeypatch.setenv("HF_ENDPOINT", running.url)
        yield running


@pytest.fixture
def listed(server: FakeFiles, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Sets the sources, and other fields, of the model in the manifest."""

    def give(*addresses: str, **fields: Any) -> Entry:
        known = load_manifest()
        entry = replace(known.models[NAME], sources=addresses, **fields)
        monkeypatch.setattr(
            "avis_cli.hub.lookup.load_manifest", lambda: replace(known, models={**known.models, NAME: entry})
        )
        return entry

    return give


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def refusal_of(wanted: str = NAME, **options: Any) -> WeightsError:
    with pytest.raises(WeightsError) as caught:
        resolve(wanted, **options)
    assert "\n" not in str(caught.value)
    return caught.value


def left_over() -> list[str]:
    """What downloads have left besides locks."""
    return sorted(path.name for path in store.downloads().glob("*") if path.suffix != ".lock")


@pytest.mark.parametrize("source", [SPACE, DRIVE, "plain"])
def test_a_model_comes_by_its_name_and_once(server: FakeFiles, listed: Any, released: bytes, source: str) -> None:
    listed(f"{server.url}/{FILE}" if source == "plain" else source)
    said: list[str] = []
    found = resolve(NAME, note=said.append)
    assert (found.path, found.preset, found.name) == (store.imported_file(NAME), NAME, NAME)
    metadata = weights_file.read(found.path)[1]
    assert metadata["source"] == f"{FILE} (sha256 {sha256(released)})"
    origin = {SPACE: "the Hub Space who/what", DRIVE: "Google Drive", "plain": "127.0.0.1"}[source]
    assert said[0].startswith(
        f"fetching {FILE} ({store.in_words(len(released))}) from {origin} for {NAME}, by Seo et al."
    )
    assert "; licence: as the authors state" in said[0]
    assert said[1] == f"{FILE} has sha256 {sha256(released)}: kept, a later download has to have the same"
    assert len(said) == 2
    assert left_over() == []

    asked = len(server.requests)
    assert resolve(NAME, note=said.append).sha256 == found.sha256
    assert (len(server.requests), len(said)) == (asked, 2)


def test_what_is_fetched_segments(server: FakeFiles, listed: Any, tmp_path: Path) -> None:
    from media_factory import make_clip

    listed(DRIVE)
    clip = tmp_path / "clip.mp4"
    make_clip(clip, size=(64, 48), fps=5, seconds=1, audio="tone")
    out = tmp_path / "out"
    words = ["segment", str(clip), "--model", NAME, "--only", "tracks", "--device", "cpu", "-o", str(out)]
    assert main(words) == 0
    assert (out / "clip.mp4" / "tracks.json").is_file()


def test_sources_are_tried_in_order_until_one_has_it(server: FakeFiles, listed: Any) -> None:
    server.space = {}
    server.quota = True
    listed(SPACE, DRIVE, f"{server.url}/gone.pth", f"{server.url}/{FILE}")
    said: list[str] = []
    assert resolve(NAME, note=said.append).preset == NAME
    assert [path.partition("?")[0] for path, _ in server.requests] == [
        "/api/spaces/who/what", "/uc", "/gone.pth", f"/{FILE}",
    ]  # fmt: skip


def test_where_none_has_it_each_reason_is_told_and_what_to_do_by_hand(
    server: FakeFiles, listed: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    server.space = {}
    server.quota = True
    listed(SPACE, DRIVE, f"{server.url}/gone.pth")
    error = refusal_of()
    assert error.cause == (
        f"the weights of {NAME} could not be fetched (the Hub Space who/what: none of its files is named as a"
        f" checkpoint of {NAME}; Google Drive: too many have fetched it today, its quota is used up; 127.0.0.1: not"
        " found (404))"
    )
    assert len(error.steps) == 3
    assert not store.imported_file(NAME).exists()
    assert left_over() == []
    assert main(["weights", "pull", NAME]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].endswith("; by hand:")
    assert [line.split(". ")[0] for line in lines[1:]] == [f"avis:   {number}" for number in (1, 2, 3)]


def test_a_space_that_is_not_there_is_told(server: FakeFiles, listed: Any) -> None:
    listed("hf://spaces/no/body")
    assert "the Hub Space no/body: not found (404)" in refusal_of().cause


def test_of_a_space_the_file_that_is_named_and_built_as_the_model_is_taken(
    server: FakeFiles, listed: Any, released: bytes, other: bytes
) -> None:
    server.space = {
        "ACVIS_R50_IN.pth": released,  # another model, with the same tensors
        "AVISM_R50_COCO.pth": released,  # the name of another, whatever is in it
        "a/best.pth": released,  # whichever it is
        "a/coco_old.pth": other,  # the right name, another network
        "b/acvis-coco.pth": released,
        "coco.json": released,
    }
    listed(SPACE)
    assert resolve(NAME).preset == NAME
    fetched = [path.rpartition("/")[2] for path, _ in server.requests if path.endswith(".pth")]
    assert fetched == ["coco_old.pth", "acvis-coco.pth"]
    assert all(COMMIT in path for path, _ in server.requests if path.endswith(".pth")), "at the commit that was listed"


def test_of_a_space_its_published_name_goes_first(server: FakeFiles, listed: Any, released: bytes) -> None:
    server.space = {"a_coco.pth": released, "z/" + FILE: released}
    listed(SPACE)
    resolve(NAME)
    assert len(server.requests) == 2
    assert server.requests[1][0].endswith("z/" + FILE)


def test_a_file_that_is_not_what_the_space_says_is_refused(server: FakeFiles, listed: Any) -> None:
    server.lie = True
    listed(SPACE)
    assert "wrong checksum: sha256 " in refusal_of().cause
    assert not store.imported_file(NAME).exists()


def test_a_checkpoint_of_another_network_is_refused_and_not_kept(server: FakeFiles, listed: Any, other: bytes) -> None:
    server.drive["ID"] = (FILE, other)
    listed(DRIVE)
    assert "weights do not fit" in refusal_of().cause
    assert not store.imported_file(NAME).exists()
    assert left_over() == []
    assert store.read_sidecar(store.pin(NAME)) is None, "nothing is pinned that was refused"


def test_a_later_download_has_to_be_what_the_first_one_was(
    server: FakeFiles, listed: Any, released: bytes, other: bytes
) -> None:
    listed(DRIVE)
    first = resolve(NAME)
    assert resolve(NAME, force=True).sha256 == first.sha256
    server.drive["ID"] = (FILE, other)
    cause = refusal_of(force=True).cause
    assert f"wrong checksum: sha256 {sha256(other)}, but the first download, kept in " in cause
    assert cause.endswith(f"{NAME}.sha256 says {sha256(released)})")
    assert resolve(NAME).sha256 == first.sha256, "what was here stays"


def test_a_checksum_that_is_known_counts(server: FakeFiles, listed: Any, released: bytes) -> None:
    listed(DRIVE, released_sha256="0" * 64)
    assert "but the list of models says 000" in refusal_of().cause
    listed(DRIVE, released_sha256=sha256(released))
    assert resolve(NAME).preset == NAME
    assert store.read_sidecar(store.pin(NAME)) is None, "there is nothing to pin"


def test_a_download_that_was_interrupted_goes_on(server: FakeFiles, listed: Any, released: bytes) -> None:
    listed(DRIVE)

    def stop(phase: str, done: int, total: int | None) -> None:
        raise KeyboardInterrupt

    server.cuts = [1000]
    with pytest.raises(KeyboardInterrupt):
        resolve(NAME, progress=stop)
    assert not store.imported_file(NAME).exists()
    server.cuts = [0] * 9
    assert "run it again, it goes on where it stopped, or by hand:" in refusal_of().headline
    server.cuts = []
    said: list[str] = []
    assert resolve(NAME, note=said.append).preset == NAME
    assert "0.0 MB of it are here already" in said[0]
    assert server.downloads[-1] == "bytes=1000-"
    assert left_over() == []


def test_a_full_disk_ends_it_and_no_other_source_is_asked(
    server: FakeFiles, listed: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from avis_cli.errors import OutputError
    from avis_cli.hub import convert

    def full(*_: Any) -> None:
        raise OutputError("cannot be written: No space left on device", hint="free some space")

    monkeypatch.setattr(convert.weights_file, "write", full)
    listed(DRIVE, SPACE)
    with pytest.raises(OutputError, match="cannot keep the weights"):
        resolve(NAME)
    assert not [path for path, _ in server.requests if path.startswith("/api")]
    assert left_over() == []


@pytest.mark.parametrize("force", [False, True])
def test_two_at_once_fetch_it_once(server: FakeFiles, listed: Any, force: bool) -> None:
    listed(DRIVE)
    server.hold = threading.Event()
    said: list[str] = []
    found: list[str] = []
    waiting = threading.Event()

    def fetch(note: Any) -> None:
        found.append(resolve(NAME, note=note, force=force).sha256)

    def note(text: str) -> None:
        said.append(text)
        waiting.set()

    began = threading.Event()
    first = threading.Thread(target=fetch, args=(lambda text: began.set(),))
    first.start()
    assert began.wait(20)
    second = threading.Thread(target=fetch, args=(note,))
    second.start()
    assert waiting.wait(20)
    server.hold.set()
    first.join(30)
    second.join(30)
    assert said == [f"another process is fetching {NAME}: waiting for it"]
    assert len(found) == 2
    assert found[0] == found[1]
    assert len(server.downloads) == 1


def test_the_users_own_repository_goes_before_the_authors(
    server: FakeFiles, listed: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed(DRIVE)
    monkeypatch.setenv("AVIS_WEIGHTS_REPO", "no/body")
    said: list[str] = []
    assert resolve(NAME, note=said.append).path == store.imported_file(NAME)
    assert said[0].startswith(f"not from hf://no/body@main/{NAME}.safetensors: ")


# offline


@pytest.fixture
def no_sockets(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The connections that were tried, none of which succeeds."""
    opened: list[Any] = []

    def refuse(*given: Any, **_: Any) -> None:
        opened.append(given)
        raise OSError("no connection")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket.socket, "connect_ex", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)
    return opened


def test_the_fixture_notices_connections(server: FakeFiles, no_sockets: list[Any]) -> None:
    refusal_of()
    assert no_sockets


@pytest.mark.parametrize("how", ["option", "AVIS_OFFLINE", "HF_HUB_OFFLINE"])
def test_offline_opens_no_connection(
    server: FakeFiles,
    no_sockets: list[Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    how: str,
) -> None:
    option = ["--offline"] if how == "option" else []
    if not option:
        monkeypatch.setenv(how, "1")
    (tmp_path / "clip.mp4").write_bytes(b"never read")
    for words in (
        ["weights", "pull", NAME, *option],
        ["weights", "pull", "hf://a/b/c.safetensors", *option],
        ["weights", "pull", "--all", *option],
        ["segment", str(tmp_path / "clip.mp4"), "--model", NAME, *option],
        ["weights", "export", NAME, str(tmp_path / "out"), *option],
        ["weights", "path", NAME],
        ["weights", "verify"],
        ["weights", "list"],
        ["doctor"],
    ):
        main(words)
        capsys.readouterr()
        assert no_sockets == [], words
    assert main(["weights", "pull", NAME, *option]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith(
        f"avis: offline, and the weights of {NAME} are not on this machine; run `avis weights pull"
    )
    assert len(lines) == 4


def test_offline_imports_no_address_and_fetches_no_vggish(
    server: FakeFiles, no_sockets: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AVIS_OFFLINE", "yes")
    with pytest.raises(WeightsError, match="offline, and given an address"), acquire.from_address(DRIVE):
        pass
    with pytest.raises(WeightsError, match=r"could not be fetched \(offline\)"):
        acquire.public_file(load_manifest().files["vggish"])
    assert no_sockets == []


# the manifest


def test_what_the_manifest_lists_can_be_asked_for(server: FakeFiles) -> None:
    known = load_manifest()
    entries: list[Entry | PublicFile] = [*known.models.values(), *known.files.values()]
    for entry in entries:
        for source in entry.sources:
            assert source.startswith(("https://", "hf://spaces/"))
            if not source.startswith("hf://"):
                assert sources.find(source, entry.released)[0].file == entry.released
    assert known.models[NAME].sources[0] == "hf://spaces/jinbae-s/ACVIS"
    assert sources.origin_of(known.models[NAME].sources[1]) == "Google Drive"
    assert {name for name, entry in known.models.items() if entry.sources} == {"acvis-r50-in", NAME}


def test_sources_need_the_name_of_the_file(tmp_path: Path) -> None:
    text = 'default = "x"\n[categories]\na = []\n[models.x]\npreset = "x"\ncategories = "a"\ntrained_on = ""\n'
    text += 'source = ""\nlicence = ""\nfile = "f"\nsources = ["https://a.example/f"]\n'
    (tmp_path / "manifest.toml").write_text(text)
    with pytest.raises(WeightsError, match="has sources of a released file, but no name of that file"):
        manifest.load_manifest(tmp_path)


@pytest.mark.parametrize("address", ["ftp://a.example/f", "https://", "nonsense", ""])
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(AvisError, match="is not the address of a file"):
        sources.find(address)


def test_no_download_is_begun_without_room_for_what_is_made_of_it(
    server: FakeFiles, listed: Any, monkeypatch: pytest.MonkeyPatch, released: bytes
) -> None:
    listed(DRIVE)
    usage = shutil.disk_usage("/")
    free = store.SPARE + len(released) + 10
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=free))
    assert "no space: needs" in refusal_of().cause
