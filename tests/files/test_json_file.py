"""What a JSON file may take in memory is known before it is parsed."""

from __future__ import annotations

import gzip
import json
import random
import subprocess
import sys
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from avis_cli import memory
from avis_cli.errors import AnnotationError
from avis_cli.files import json_file, strict_json
from avis_cli.files.json_cost import JsonCost
from avis_cli.files.json_file import read_json


def cost_of(text: bytes, pieces: int = 1) -> int:
    cost = JsonCost()
    step = -(-len(text) // pieces)
    for first in range(0, len(text), step):
        cost.add(text[first : first + step])
    return cost.total


def taken_by(text: bytes) -> int:
    """Bytes that the text and what is parsed out of it hold."""
    tracemalloc.start()
    try:
        document = text.decode()
        node = strict_json.parse(document)
        assert node.value is not None
        return tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()


def run_lengths(count: int) -> str:
    rng = random.Random(0)
    masks = ["".join(chr(rng.randint(48, 111)) for _ in range(200)) for _ in range(count)]
    return json.dumps([{"size": [480, 640], "counts": mask} for mask in masks])


DENSE = {
    "lists": "[" + "[]," * 50_000 + "[]]",
    "objects": "[" + "{}," * 50_000 + "{}]",
    "nested": "[" + '{"a":{"b":1}},' * 20_000 + "1]",
    "texts": "[" + '"ab",' * 50_000 + '"ab"]',
    "numbers": "[" + "300," * 50_000 + "300]",
    "keys": "{" + ",".join(f'"{number}":0' for number in range(50_000)) + "}",
    "wide": "[" + '"x\U0001f600y",' * 20_000 + '"x"]',
}
USUAL = {"run lengths": run_lengths(2000), "nothing": "[" + "null, " * 50_000 + "null]"}


@pytest.mark.parametrize("text", [*DENSE.values(), *USUAL.values()], ids=[*DENSE, *USUAL])
def test_the_reckoning_is_not_far_from_what_is_taken(text: str) -> None:
    data = text.encode()
    assert 0.95 * taken_by(data) < cost_of(data) < 4 * taken_by(data)


@pytest.mark.parametrize("text", USUAL.values(), ids=USUAL)
def test_real_annotations_take_a_few_times_their_length(text: str) -> None:
    assert cost_of(text.encode()) < 6 * len(text)


@given(st.text('ab"\\[]{},:1 é', max_size=60), st.integers(1, 60))
def test_the_reckoning_does_not_depend_on_the_pieces(text: str, pieces: int) -> None:
    data = json.dumps([text, {text: [text]}], ensure_ascii=False).encode()
    whole, parts = cost_of(data), cost_of(data, pieces)
    # a word such as null, or a text, that lies across two pieces counts as something else
    assert abs(whole - parts) <= 100 * pieces


@pytest.mark.parametrize("pieces", [1, 3, 7])
@pytest.mark.parametrize("before", ["", '"', "\\", '"\\' * 50])
@pytest.mark.parametrize("signs", ["[", "{", ":", ",", "[[[{{{:::,,,"])
def test_signs_inside_texts_cost_what_characters_do(signs: str, before: str, pieces: int) -> None:
    plain = json.dumps([before + "x" * 10_000]).encode()
    odd = json.dumps([before + (signs * 10_000)[:10_000]]).encode()
    assert cost_of(plain, pieces) == cost_of(odd, pieces)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if a file might take 1 MiB in any case."""
    monkeypatch.setattr(json_file, "_SMALL", 1 << 20)
    monkeypatch.setattr(json_file, "_UNCOUNTED", 1 << 15)


BOMBS = {
    "lists": b"[" + b"[]," * 1_000_000 + b"[]]",
    "objects": b'[{"a":' + b'[{"a":1}],"b":[' * 300_000,
    "texts": b'["' + b"x" * 20_000_000 + b'"]',
    "blanks": b"[" + b" " * 20_000_000 + b"]",
    "quotes": b'["' + b'\\"' * 10_000_000 + b'"]',
}


@pytest.mark.parametrize("bomb", BOMBS.values(), ids=BOMBS)
def test_what_unpacks_to_far_too_much_is_refused(small: None, tmp_path: Path, bomb: bytes) -> None:
    path = tmp_path / "gt.json.gz"
    path.write_bytes(gzip.compress(bomb))
    with pytest.raises(AnnotationError, match=r"gt\.json\.gz: \d+ bytes that would take more than .* unpack it first"):
        read_json(path)


def test_what_is_packed_well_and_small_is_read(tmp_path: Path) -> None:
    path = tmp_path / "gt.json.gz"
    path.write_bytes(gzip.compress(b"[" + b"null," * 200_000 + b"null]"))
    assert len(read_json(path).value) == 200_001


def test_packed_annotations_of_any_size_are_read(small: None, tmp_path: Path) -> None:
    path = tmp_path / "gt.json.gz"
    path.write_bytes(gzip.compress(run_lengths(5000).encode()))
    assert len(read_json(path).value) == 5000


def test_what_does_not_fit_into_memory_is_refused(small: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "gt.json"
    path.write_text(DENSE["lists"])
    monkeypatch.setattr(memory, "free", lambda: 3 << 20)
    with pytest.raises(AnnotationError, match="more than 3 MiB of memory when it is read, 3 MiB are free; split"):
        read_json(path)
    for enough in (1 << 30, None):
        monkeypatch.setattr(memory, "free", lambda enough=enough: enough)
        assert len(read_json(path).value) == 50_001


def test_each_piece_is_reckoned_once(small: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "gt.json"
    path.write_text("[" + "[]," * 1_000_000 + "[]]")  # 25 times its length, in three pieces
    monkeypatch.setattr(memory, "free", lambda: 90 << 20)
    assert len(read_json(path).value) == 1_000_001


LIMITED = """
import resource, sys
from avis_cli.cli.main import main
import avis_cli.cli.evaluate, avis_cli.evaluate.predictions, avis_cli.datasets.truth
with open("/proc/self/statm") as file:
    taken = int(file.read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (taken + (600 << 20),) * 2)
sys.exit(main(["evaluate", "--gt", sys.argv[1], "--pred", sys.argv[1]]))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits of address space as Linux has them")
def test_a_bomb_takes_little_memory(tmp_path: Path) -> None:
    path = tmp_path / "gt.json.gz"
    with gzip.open(path, "wb", 5) as file:
        for _ in range(100):
            file.write(b"[" + b"[]," * 1_000_000)
    assert path.stat().st_size < 2_000_000
    done = subprocess.run([sys.executable, "-c", LIMITED, str(path)], capture_output=True, text=True, timeout=120)
    assert done.returncode == 1
    assert "of memory, as no annotations do; if you trust the file, unpack it first" in done.stderr
