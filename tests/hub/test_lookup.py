"""Names to files: bundled, imported, from a Hub on the loopback; every way that can go wrong said in one line."""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fake_hub import COMMIT, FakeHub, serve
from hypothesis import given
from hypothesis import strategies as st

from avis_cli.errors import AvisError, WeightsError
from avis_cli.hub import download, manifest, refusal, resolve, store
from avis_cli.hub.download import HubFile
from avis_cli.hub.manifest import load_manifest
from avis_cli.hub.pace import Pace

REPO, FILE = "somebody/models", "avism-tiny.safetensors"
TOKEN = "hf_averysecrettoken"
# a whole safetensors file, its metadata naming a preset
HEADER = b'{"__metadata__":{"preset":"avism-tiny"},"a":{"dtype":"U8","shape":[1000],"data_offsets":[0,1000]}}'
CONTENT = len(HEADER).to_bytes(8, "little") + HEADER + bytes(range(250)) * 4
SHA256 = hashlib.sha256(CONTENT).hexdigest()
URL = f"hf://{REPO}/{FILE}"
RELEASED = "avism-r50-coco"


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[FakeHub]:
    import huggingface_hub.constants

    # read once by the client when it is imported, perhaps by another test
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_DISABLE_TELEMETRY", True)
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.delenv("AVIS_OFFLINE")
    monkeypatch.setattr(download, "WAITS", (0.0, 0.0))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    with serve() as running:
        running.files[REPO, FILE] = CONTENT
        monkeypatch.setenv("HF_ENDPOINT", running.url)
        yield running


@pytest.fixture
def models(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A manifest folder of its own, with one bundled, one hosted and one released model."""
    folder = tmp_path / "weights"
    folder.mkdir()
    (folder / "manifest.toml").write_text(
        f"""
default = "avism-tiny"
[categories]
two = ["a", "b"]
[models."avism-tiny"]
preset = "avism-tiny"
categories = "two"
trained_on = "a test"
source = "a test"
licence = "MIT"
file = "{FILE}"
bundled = true
sha256 = "{SHA256}"
size = {len(CONTENT)}

[models."hosted"]
preset = "avism-tiny"
categories = "two"
trained_on = "a test"
source = "a test"
licence = "MIT"
file = "{FILE}"
repo = "{REPO}"
commit = "{COMMIT}"
sha256 = "{SHA256}"
size = {len(CONTENT)}

[models."{RELEASED}"]
preset = "{RELEASED}"
categories = "two"
trained_on = "a test"
source = "a test"
licence = "other"
file = "{RELEASED}.safetensors"
released = "AVISM_R50_COCO.pth"
download = "https://example.org/weights"
""",
        encoding="utf-8",
    )
    (folder / FILE).write_bytes(CONTENT)
    monkeypatch.setattr(manifest, "weights_folder", lambda: folder)
    return folder


def methods(hub: FakeHub) -> list[str]:
    return [method for method, _, _ in hub.requests]


def failure(wanted: str | Path | None, **options: Any) -> str:
    """The one line that asking for ``wanted`` ends with."""
    with pytest.raises(WeightsError) as caught:
        resolve(wanted, **options)
    line = str(caught.value)
    assert "\n" not in line
    assert TOKEN not in line
    return line


# names and files


def test_without_a_name_it_is_the_bundled_model_and_says_what_it_knows(models: Path) -> None:
    found = resolve()
    assert (found.path, found.preset, found.sha256, found.name) == (models / FILE, "avism-tiny", SHA256, "avism-tiny")
    assert found.note == "avism-tiny: trained on a test"


def test_the_environment_names_the_default(models: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "mine.safetensors").write_bytes(CONTENT)
    monkeypatch.setenv("AVIS_MODEL", str(tmp_path / "mine.safetensors"))
    assert resolve().path == tmp_path / "mine.safetensors"


def test_a_changed_bundled_file_is_refused(models: Path) -> None:
    (models / FILE).write_bytes(CONTENT[:-1] + b"x")
    line = failure("avism-tiny")
    assert line.startswith(f"{models / FILE}: wrong checksum: sha256 ")
    assert line.endswith(f"expected {SHA256}; install avis-cli again")


def test_a_local_file_tells_its_preset_without_torch(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(CONTENT)
    found = resolve(path)
    assert (found.preset, found.sha256, found.note) == ("avism-tiny", SHA256, None)
    assert found.name == str(path)


def test_a_local_pickle_has_no_preset_to_tell(tmp_path: Path) -> None:
    (tmp_path / "model.pth").write_bytes(b"anything")
    assert resolve(tmp_path / "model.pth").preset is None


def test_a_damaged_local_file_is_refused_before_loading(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(CONTENT[:-10])
    assert "not a whole safetensors file" in failure(tmp_path / "model.safetensors")


def test_a_checksum_beside_a_local_file_counts(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(CONTENT)
    store.write_sidecar(path, SHA256)
    assert resolve(path).sha256 == SHA256
    store.write_sidecar(path, "0" * 64)
    assert f"wrong checksum: sha256 {SHA256}, expected {'0' * 64}" in failure(path)


def test_what_is_no_model_is_told_which_there_are(tmp_path: Path) -> None:
    assert failure("avism-large").startswith("no model called 'avism-large'; there are avism-tiny, avism-r50-in, ")
    assert "cannot be read (No such file or directory)" in failure(tmp_path / "nothing.safetensors")
    assert "is a folder" in failure(tmp_path)


def test_released_weights_that_are_nowhere_say_what_to_do_by_hand() -> None:
    for name, entry in load_manifest().models.items():
        if entry.released is not None:
            with pytest.raises(WeightsError) as caught:
                resolve(name)
            assert "not on this machine" in caught.value.headline
            system = name.split("-")[0]
            homes = {"avism": "https://1drv.ms/", "acvis": "https://drive.google.com/"}
            where = homes.get(system, "https://github.com/")
            download_it, import_it, use_it = caught.value.steps
            assert download_it.startswith(f"download {entry.released} from {where}")
            assert f"`avis weights import {entry.released}`" in import_it
            # these hear through VGGish, whose weights are a file of their own
            assert ("VGGish" in import_it) == (system in ("avism", "tpavi"))
            assert f"--model {name}`" in use_it


def test_imported_weights_need_the_checksum_beside_them(models: Path) -> None:
    path = store.imported_file(RELEASED)
    path.parent.mkdir(parents=True)
    path.write_bytes(CONTENT)
    assert "has no checksum beside it; delete it and run `avis weights import" in failure(RELEASED)
    store.write_sidecar(path, SHA256)
    assert resolve(RELEASED).path == path
    path.write_bytes(CONTENT + b"x")
    assert "wrong checksum" in failure(RELEASED)


# the manifest


def test_the_manifest_agrees_with_the_presets() -> None:
    from avis_cli.models import find_preset, preset_names

    models = load_manifest().models
    assert set(models) == set(preset_names())
    for name, entry in models.items():
        assert entry.preset == name
        assert entry.categories == find_preset(name).config.categories


def test_a_published_file_s_name_tells_its_preset() -> None:
    for entry in load_manifest().models.values():
        if entry.released is not None:
            assert manifest.published_as(entry.released) == entry.preset
    assert manifest.published_as("model_final.pth") is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("default = ", "not a list of models"),
        ('default = "x"\n[categories]\n[models]\n', "its default 'x' is none of its models"),
        ('default = "x"\n[categories]\na = []\n[models.x]\ncategories = "a"\n', "not a list of models"),
        ('default = "x"\n[categories]\n[models.x]\ncategories = "a"\n', "not a list of models"),
    ],
)
def test_a_wrong_manifest_is_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "manifest.toml").write_text(text, encoding="utf-8")
    with pytest.raises(WeightsError, match=message):
        load_manifest(tmp_path)


def test_recording_a_checksum_changes_one_section(models: Path) -> None:
    before = load_manifest().models
    manifest.record("avism-tiny", "1" * 64, 7)
    after = load_manifest().models
    assert (after["avism-tiny"].sha256, after["avism-tiny"].size) == ("1" * 64, 7)
    assert {name: after[name] for name in ("hosted", RELEASED)} == {name: before[name] for name in ("hosted", RELEASED)}


def test_a_checksum_is_written_at_the_end_of_its_section(models: Path) -> None:
    path = models / "manifest.toml"
    head, name, rest = path.read_text(encoding="utf-8").partition('[models."hosted"]')
    assert name
    path.write_text(f"{head}# About the next one.\n{name}{rest}", encoding="utf-8")
    manifest.record("avism-tiny", "1" * 64, 7)
    first = path.read_text(encoding="utf-8")
    assert '\n# About the next one.\n[models."hosted"]' in first
    manifest.record("avism-tiny", "2" * 64, 7)
    assert path.read_text(encoding="utf-8") == first.replace("1" * 64, "2" * 64)


# the Hub


def test_addresses_on_the_hub() -> None:
    assert download.parse_url("hf://a/b/c.safetensors") == HubFile("a/b", "c.safetensors", "main")
    assert download.parse_url("hf://a/b.c@v1.0/d/e.pth") == HubFile("a/b.c", "d/e.pth", "v1.0")
    assert download.parse_url("hf://a/b@refs%2Fpr%2F1/c.pth") == HubFile("a/b", "c.pth", "refs/pr/1")


@pytest.mark.parametrize(
    "text", ["hf://", "hf://a", "hf://a/b", "hf://a/b/", "hf://a/b@/c", "hf://a/b/../c", "hf://../b/c", "hf://a/b//c",
             "hf://a b/c/d", "hf://a/b@x@y/c"]
)  # fmt: skip
def test_what_is_no_address_is_refused(text: str) -> None:
    assert "write hf://OWNER/REPO[@REVISION]/FILE" in failure(text)


@given(st.text(max_size=40))
def test_no_address_leads_out_of_its_repository(text: str) -> None:
    try:
        wanted = download.parse_url(f"hf://{text}")
    except AvisError:
        return
    assert ".." not in wanted.file.split("/")
    assert wanted.repo.count("/") == 1


def test_a_file_is_fetched_with_the_token_and_found_again(hub: FakeHub) -> None:
    seen: list[tuple[str, int, int | None]] = []
    found = resolve(URL, progress=lambda *step: seen.append(step))
    assert found.path.read_bytes() == CONTENT
    assert (found.preset, found.sha256, found.name) == ("avism-tiny", SHA256, f"hf://{REPO}@main/{FILE}")
    assert {authorization for _, _, authorization in hub.requests} == {f"Bearer {TOKEN}"}
    assert ("downloading", len(CONTENT), len(CONTENT)) in seen
    assert methods(hub).count("GET") == 1
    resolve(URL)
    assert methods(hub).count("GET") == 1


def test_a_pinned_file_in_the_cache_needs_no_request(hub: FakeHub, models: Path) -> None:
    assert resolve("hosted").sha256 == SHA256
    hub.requests.clear()
    assert resolve("hosted").note == "hosted: trained on a test"
    assert resolve(f"hf://{REPO}@{COMMIT}/{FILE}").sha256 == SHA256
    assert hub.requests == []


@pytest.mark.parametrize("how", ["option", "environment"])
def test_offline_takes_the_cache_and_asks_nobody(hub: FakeHub, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    resolve(URL)
    hub.requests.clear()
    if how == "environment":
        monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert resolve(URL, offline=how == "option").sha256 == SHA256
    assert hub.requests == []


def test_offline_without_it_says_what_and_how(hub: FakeHub, models: Path) -> None:
    line = failure("hosted", offline=True)
    assert line == (
        f"hf://{REPO}@{COMMIT}/{FILE}: offline, and not in the cache;"
        " run `avis weights pull hosted` (0.0 MB) online, or give a file with --model"
    )
    assert hub.requests == []


def test_the_environment_lends_a_repository_to_the_released(
    hub: FakeHub, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.files[REPO, f"{RELEASED}.safetensors"] = CONTENT
    monkeypatch.setenv("AVIS_WEIGHTS_REPO", REPO)
    found = resolve(RELEASED)
    assert (found.sha256, found.preset, found.name) == (SHA256, RELEASED, RELEASED)
    monkeypatch.setenv("AVIS_WEIGHTS_REPO", f"{REPO}@{COMMIT}")
    assert resolve(RELEASED).sha256 == SHA256
    monkeypatch.setenv("AVIS_WEIGHTS_REPO", "nonsense")
    assert failure(RELEASED) == "AVIS_WEIGHTS_REPO is 'nonsense', expected OWNER/REPO[@REVISION]"


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (f"hf://{REPO}/other.safetensors", "no such file in the repository (404)"),
        (f"hf://{REPO}@dev/{FILE}", "no such revision (404)"),
        (f"hf://nobody/models/{FILE}", "not found (404)"),
    ],
)
def test_what_is_not_there_is_named(hub: FakeHub, wanted: str, message: str) -> None:
    assert message in failure(wanted)
    assert methods(hub) == ["HEAD"]


@pytest.mark.parametrize(
    ("status", "code", "message", "asked"),
    [
        (401, None, "not allowed (401), or no such repository", 1),
        (403, None, "not allowed (403); set HF_TOKEN to a token that may read it", 1),
        (403, "GatedRepo", "access has to be granted first; accept its terms on the Hub", 1),
        (418, None, "refused (418)", 1),
        (429, None, "too many requests (429); wait some minutes", 3),
        (500, None, "server error (500); the Hub is in trouble, run again later", 3),
        (503, None, "server error (503)", 3),
    ],
)
def test_each_refusal_has_its_line_and_few_retries(
    hub: FakeHub, status: int, code: str | None, message: str, asked: int
) -> None:
    hub.status, hub.error_code = status, code
    assert message in failure(URL)
    assert len(hub.requests) == asked


def test_a_server_that_recovers_is_asked_again(hub: FakeHub) -> None:
    hub.status, hub.failures = 503, 2
    assert resolve(URL).sha256 == SHA256


@pytest.mark.parametrize(("status", "message"), [(500, "server error (500)"), (403, "not allowed (403)")])
def test_a_refusal_in_the_middle_is_told_too(hub: FakeHub, status: int, message: str) -> None:
    hub.status, hub.only_get = status, True
    assert message in failure(URL)


def test_a_server_in_trouble_does_not_take_away_what_is_cached(hub: FakeHub) -> None:
    resolve(URL)
    hub.status = 503
    assert resolve(URL).sha256 == SHA256


def test_a_login_page_is_not_taken_for_weights(hub: FakeHub) -> None:
    hub.portal = True
    line = failure(URL)
    assert "is not that of a Hub; a login page or a proxy may be in the way" in line
    assert methods(hub) == ["HEAD"]


@pytest.mark.parametrize("announce_less", [True, False])
def test_a_short_body_is_refused_and_leaves_the_cache_as_it_was(
    hub: FakeHub, monkeypatch: pytest.MonkeyPatch, announce_less: bool
) -> None:
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    hub.cut, hub.announce_less = 300, announce_less
    assert "the download ended early, fewer bytes came than were announced; run again" in failure(URL)
    assert len(hub.requests) <= 10
    kept = [path for path in download.cache_folder().rglob("*") if path.suffix in (".incomplete", ".safetensors")]
    assert kept == []
    hub.cut = 0
    assert resolve(URL).sha256 == SHA256


def test_a_download_that_starts_over_and_over_is_given_up(hub: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub.constants

    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    monkeypatch.setattr(huggingface_hub.constants, "DOWNLOAD_CHUNK_SIZE", 100)
    monkeypatch.setattr(download, "CHUNK", 1)
    hub.cut = 300  # whatever part is asked for again, the whole comes, and ends early
    assert "the download ended early" in failure(URL)
    assert len(hub.requests) < 20


@pytest.mark.parametrize("in_headers", [False, True])
def test_a_hub_that_drips_is_given_up(hub: FakeHub, tmp_path: Path, in_headers: bool) -> None:
    hub.drip, hub.drip_headers = 0.02, in_headers
    began = time.monotonic()
    with pytest.raises(WeightsError, match=r"127\.0\.0\.1:\d+ sends next to nothing; check the network, or run again"):
        download.fetch(HubFile(REPO, FILE), least=Pace(size=1000, seconds=0.5))
    assert time.monotonic() - began < 20
    assert len(hub.requests) == (1 if in_headers else 3), "and each question is asked once"
    assert not list((tmp_path / "hf").rglob("*.incomplete"))
    hub.drip = 0.0
    assert download.fetch(HubFile(REPO, FILE)).path.read_bytes() == CONTENT


def test_a_hub_that_drips_does_not_take_away_what_is_cached(hub: FakeHub) -> None:
    path = download.fetch(HubFile(REPO, FILE)).path
    hub.drip, hub.drip_headers = 0.02, True
    assert download.fetch(HubFile(REPO, FILE), least=Pace(size=1000, seconds=0.3)).path == path


def test_a_slow_hub_is_waited_for(hub: FakeHub) -> None:
    hub.files[REPO, FILE] = b"x" * 60
    hub.drip = 0.02
    fetched = download.fetch(HubFile(REPO, FILE), least=Pace(size=2, seconds=0.3))
    assert fetched.path.read_bytes() == b"x" * 60


def test_each_question_has_its_own_patience(hub: FakeHub) -> None:
    hub.pause = 0.4
    for _ in range(2):  # over one connection
        fetched = download.fetch(HubFile(REPO, FILE), force=True, least=Pace(size=10_000, seconds=1.0))
        assert fetched.path.read_bytes() == CONTENT


def test_other_bytes_of_the_same_length_are_refused_until_fetched_again(hub: FakeHub, models: Path) -> None:
    hub.swap = CONTENT[:-1] + b"x"
    line = failure("hosted")
    assert f"expected {SHA256}; run `avis weights pull hosted --force` to download it again" in line
    hub.swap = None
    assert "wrong checksum" in failure("hosted")
    assert resolve("hosted", force=True).sha256 == SHA256
    assert resolve("hosted").sha256 == SHA256


def test_the_hubs_own_checksum_counts_where_the_manifest_has_none(hub: FakeHub) -> None:
    hub.swap = CONTENT[:-1] + b"x"
    assert f"wrong checksum: sha256 {hashlib.sha256(hub.swap).hexdigest()}, expected {SHA256}" in failure(URL)


def test_a_small_file_outside_lfs_is_taken_as_it_is(hub: FakeHub) -> None:
    hub.large_files = False
    assert resolve(URL).sha256 == SHA256


def test_a_full_disk_is_told_before_the_download(hub: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage("/")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=500))
    line = failure(URL)
    assert "no space: needs 0.0 MB, 0.0 MB are free; free some disk space" in line
    assert methods(hub) == ["HEAD"]


def test_a_disk_that_fills_up_on_the_way_is_told() -> None:
    error = OSError(28, os.strerror(28))
    line = str(refusal.explain(error, HubFile(REPO, FILE)))
    assert "no space left on the disk; free some disk space, or set HF_HOME to another disk" in line


def test_nobody_there(hub: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", f"http://somebody:{TOKEN}@127.0.0.1:9")
    assert "cannot connect to 127.0.0.1:9; check the network and HF_ENDPOINT" in failure(URL)
    monkeypatch.setenv("HF_ENDPOINT", "nonsense")
    assert "the download failed (UnsupportedProtocol" in failure(URL)


def test_a_proxy_that_wants_a_password_is_named(hub: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub.utils import close_session

    monkeypatch.setenv("HF_ENDPOINT", "http://hub.example")
    monkeypatch.setenv("HTTP_PROXY", hub.url)
    hub.status = 407
    close_session()  # the client looks for a proxy when it opens its session
    try:
        assert "the proxy wants a password (407); check HTTPS_PROXY" in failure(URL)
        assert hub.requests[0][1].startswith("http://hub.example/")
    finally:
        close_session()


def test_no_line_holds_the_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    line = str(refusal.explain(RuntimeError(f"Bearer {TOKEN}"), HubFile(REPO, FILE)))
    assert TOKEN not in line
    assert "Bearer ***" in line


def test_the_cache_is_where_the_client_has_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert download.cache_folder() == tmp_path / "huggingface" / "hub"
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    assert download.cache_folder() == tmp_path / "home" / "hub"
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "cache"))
    assert download.cache_folder() == tmp_path / "cache"


def test_finding_bundled_weights_loads_neither_torch_nor_the_client(models: Path) -> None:
    import subprocess

    code = (
        "import sys; from avis_cli.hub import manifest, resolve; from pathlib import Path;"
        f"manifest.weights_folder = lambda: Path({str(models)!r});"
        "assert resolve().name == 'avism-tiny'; print(*sys.modules)"
    )
    listing = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert not {"torch", "huggingface_hub", "numpy"} & set(listing.split())
