"""Files of stores: what a URL says, requests that are tried again, and what is told when they fail."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st
from store_examples import Flaky, ReadOnly, Recorded, contents, fill, register

from avis_cli.errors import MediaError, OutputError, UsageError
from avis_cli.files import stores
from avis_cli.files.stores import StorePath, location

SECRET = "recorded://user:hunter2@bucket/videos/clip.mp4?sig=hunter2&x=1"


@pytest.fixture(autouse=True)
def _stores(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    register()
    monkeypatch.setattr(stores, "PAUSE", 0.0)
    yield
    for kind in (Flaky, ReadOnly, Recorded):
        kind.store.clear()
    Recorded.puts.clear()


@pytest.mark.parametrize("text", ["s3://b/k", "gs://b/k", "hf://datasets/o/n/f.mp4", "memory://b/x", "S3://b/k"])
def test_urls_of_stores(text: str) -> None:
    assert location(text) == StorePath(text)


@pytest.mark.parametrize(
    "text", ["clip.mp4", "/a/b", "c:/x", "C://x", "http://h/x", "https://h/x", "rtsp://h/x", "file:///x", "a:b", "://x"]
)
def test_what_is_no_url_of_a_store_is_a_path(text: str) -> None:
    assert location(text) == Path(text)


def test_a_url_is_used_as_a_path_is() -> None:
    path = StorePath("s3://bucket/videos/")
    assert (path / "a.mp4").url == "s3://bucket/videos/a.mp4"
    assert path.joinpath("x", "a.mp4").relative_to(path) == PurePosixPath("x/a.mp4")
    assert path.joinpath("x", "a.mp4").with_name("b.mp4") == StorePath("s3://bucket/videos/x/b.mp4")
    assert path.name == "videos"
    assert path.parent == StorePath("s3://bucket")
    assert pickle.loads(pickle.dumps(path)) == path
    assert sorted([path / "b", path / "a"]) == [path / "a", path / "b"]


def test_secrets_are_used_and_never_told() -> None:
    path = StorePath(SECRET)
    assert path.name == "clip.mp4"
    assert str(path) == "recorded://bucket/videos/clip.mp4"
    assert (path.parent / "b.mp4").url == "recorded://user:hunter2@bucket/videos/b.mp4?sig=hunter2&x=1"
    assert path.relative_to(path.parent) == PurePosixPath("clip.mp4")


@given(st.text("ab.@:", min_size=1, max_size=8), st.lists(st.text("abc.-_ ", min_size=1, max_size=5), max_size=3))
def test_no_url_tells_what_stands_before_an_at(user: str, parts: list[str]) -> None:
    path = StorePath(f"s3://{user}!@bucket").joinpath(*parts)
    assert str(path) == "/".join(["s3://bucket", *parts]).rstrip("/")


def test_a_question_mark_with_values_is_no_wildcard() -> None:
    assert not stores.has_wildcards(StorePath("s3://b/a.mp4?versionId=1"))
    assert stores.has_wildcards(StorePath("s3://b/a?.mp4"))
    assert stores.has_wildcards(StorePath("s3://b/*.mp4"))
    assert stores.has_wildcards(StorePath("s3://b/[ab].mp4"))
    assert not stores.has_wildcards(StorePath("s3://b/a.mp4"))


def test_wildcards_and_folders() -> None:
    root = StorePath("recorded://bucket")
    fill(root.url, {"v/a.mp4": b"a", "v/b.mp4": b"bb", "v/c.txt": b"c", "v/deep/d.mp4": b"dddd", "vv/e.mp4": b"e"})
    assert stores.expand(root / "v/*.mp4") == {root / "v/a.mp4": 1, root / "v/b.mp4": 2}
    below = {PurePosixPath("a.mp4"): 1, PurePosixPath("b.mp4"): 2, PurePosixPath("c.txt"): 1}
    assert stores.files_below(root / "v") == {**below, PurePosixPath("deep/d.mp4"): 4}
    assert stores.files_below(root / "v", recursive=False) == below
    assert stores.files_below(root / "none") == {}
    with pytest.raises(MediaError, match=r"recorded://bucket/v/\*.avi: no such files"):
        stores.expand(root / "v/*.avi")


def test_wildcards_keep_what_opens_the_store() -> None:
    fill("recorded://user:hunter2@bucket", {"a.mp4": b"a"})
    assert [path.url for path in stores.expand(StorePath("recorded://user:hunter2@bucket/*.mp4"))] == [
        "recorded://user:hunter2@bucket/a.mp4"
    ]


def test_what_fails_now_and_then_is_tried_again(tmp_path: Path) -> None:
    data = {f"{number}.bin": bytes([number]) * number for number in range(60)}
    fill("flaky://bucket/in", data)
    Flaky.failures = 0
    folder = tmp_path / "up"
    folder.mkdir()
    for name in data:
        stores.fetch(StorePath("flaky://bucket/in") / name, folder / name)
        assert (folder / name).read_bytes() == data[name]
    stores.upload(folder, StorePath("flaky://bucket/out"), last="3.bin")
    assert Flaky.failures > 5
    assert contents("flaky://bucket/out") == data


def test_a_request_is_given_up_in_the_end(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked: list[str] = []

    def never(self: Flaky, name: str, path: str) -> None:
        asked.append(name)
        raise ConnectionResetError("the connection was reset")

    monkeypatch.setattr(Flaky, "request", never)
    with pytest.raises(MediaError, match="flaky://b/x: cannot be read: the connection was reset"):
        stores.read(StorePath("flaky://b/x"))
    assert len(asked) == stores.ATTEMPTS
    with pytest.raises(MediaError, match="cannot be read"):
        stores.fetch(StorePath("flaky://b/x"), tmp_path / "x")
    assert not list(tmp_path.iterdir())


def test_what_is_refused_is_not_tried_again() -> None:
    ReadOnly.asked = 0
    with pytest.raises(OutputError, match=r"readonly://bucket/out/.*: cannot be written: Access Denied; is the bucket"):
        stores.require_writable(StorePath("readonly://bucket/out"))
    assert ReadOnly.asked == 1


def test_a_place_that_can_be_written_is_left_as_it_was() -> None:
    stores.require_writable(StorePath("recorded://bucket/out"))
    assert contents("recorded://bucket") == {}
    assert [name.lstrip("-").startswith(".avis-probe-") for name in Recorded.puts] == [True]


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match=r"recorded://bucket/none\.mp4: no such file"):
        stores.fetch(StorePath("recorded://bucket/none.mp4"), tmp_path / "x")
    with pytest.raises(FileNotFoundError):
        stores.read(StorePath("recorded://bucket/none.mp4"))
    stores.remove(StorePath("recorded://bucket/none.mp4"))


def test_a_copy_needs_room(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    fill("recorded://bucket", {"a.mp4": bytes(1000)})
    monkeypatch.setattr(stores, "_free", lambda _: 999)
    with pytest.raises(MediaError, match=r"1000 bytes to be copied, 999 are free; make room in .*TMPDIR"):
        stores.fetch(StorePath("recorded://bucket/a.mp4"), tmp_path / "x")
    assert not list(tmp_path.iterdir())
    monkeypatch.setattr(stores, "_free", lambda _: 1000)
    stores.fetch(StorePath("recorded://bucket/a.mp4"), tmp_path / "x")


def test_the_last_file_is_uploaded_last(tmp_path: Path) -> None:
    for name in (".avis.json", "a", "z"):
        (tmp_path / name).write_text(name)
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / ".avis.json").write_text("another")
    stores.upload(tmp_path, StorePath("recorded://bucket/out"), last=".avis.json")
    assert Recorded.puts == ["a", ".avis.json", "z", ".avis.json"]
    assert contents("recorded://bucket/out")["deep/.avis.json"] == b"another"


def test_a_store_whose_package_is_missing_or_that_is_none() -> None:
    import fsspec

    fsspec.register_implementation("lacking", "no_such_package.Store", clobber=True)
    with pytest.raises(UsageError, match=r"lacking://b/x: needs a package that is not installed .*avis-cli\[stores\]"):
        stores.read(StorePath("lacking://b/x"))
    with pytest.raises(UsageError, match="odd://b/x: no URL of a store that is known"):
        stores.read(StorePath("odd://b/x"))


def test_what_a_library_says_is_told_without_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuses(self: Recorded, name: str, path: str) -> None:
        raise PermissionError("denied: https://key:hunter2@host/x?X-Amz-Signature=hunter2\nmore")

    monkeypatch.setattr(Recorded, "request", refuses)
    with pytest.raises(MediaError) as caught:
        stores.read(StorePath(SECRET))
    assert str(caught.value) == "recorded://bucket/videos/clip.mp4: cannot be read: denied: https://host/x more"


@pytest.mark.parametrize(
    "said",
    [
        'Invalid bucket name "user:hunter2@bucket": no',
        "/user:hunter2@bucket/videos/clip.mp4",
        "signature hunter2 has expired",
        "https://user:hun@ter2@host/x",
        "user hunter/2 is unknown",
    ],
)
def test_a_library_tells_secrets_in_forms_of_its_own(said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuses(self: Recorded, name: str, path: str) -> None:
        raise PermissionError(said)

    monkeypatch.setattr(Recorded, "request", refuses)
    url = "recorded://user:hunter%2F2@bucket/x?sig=hunter2" if "hunter/2" in said else SECRET
    path = StorePath(url)
    for ask, place in ((stores.read, path), (stores.require_writable, path.parent), (stores.expand, path)):
        with pytest.raises((MediaError, OutputError)) as caught:
            ask(place)
        assert not any(secret in str(caught.value) for secret in ("hunter", "ter2"))


def test_a_path_shows_no_secrets_in_a_traceback() -> None:
    assert repr(StorePath(SECRET)) == "StorePath('recorded://bucket/videos/clip.mp4')"


@given(st.text("abc:@%", min_size=1, max_size=8))
def test_nothing_stands_before_a_host(user: str) -> None:
    assert stores.without_secrets(f"GET https://{user}@host/x") == "GET https://host/x"
