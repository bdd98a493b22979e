"""Inputs made to break an evaluator: each is refused in one line that says where, or scored; none reaches C unchecked.

All cases run in one other process, whose death is laid to the case that it was at.
"""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest

H, W = 72, 128
ZEROS = {"size": [H, W], "counts": "PP9"}  # H * W = 9216 background pixels
SQUARE = [10, 10, 40, 10, 40, 40, 10, 40]
SCORED = "scored"
MAX_BYTES = 30_000_000

RUNNER = """
import json, sys
try:
    import resource
    resource.setrlimit(resource.RLIMIT_AS, (3 << 30, 3 << 30))
except ImportError:
    pass
from avis_cli.errors import AvisError
from avis_cli.evaluate.predictions import read_predictions
from avis_cli.evaluate.report.scores_file import document_of
from avis_cli.evaluate.instances.scores import evaluate_dataset
from avis_cli.datasets.truth import read_truth
for name, gt, pred, allow_empty, max_bytes in json.load(sys.stdin):
    print(json.dumps([name, None]), flush=True)
    try:
        dataset = read_truth(gt, allow_empty=allow_empty, max_bytes=max_bytes)
        dataset = read_predictions(pred, dataset, max_bytes=max_bytes)
        json.dumps(document_of(evaluate_dataset(dataset)), allow_nan=False)
        outcome = "scored"
    except AvisError as error:
        outcome = str(error)
    except Exception as error:
        outcome = f"BUG {type(error).__name__}: {error}"
    print(json.dumps([name, outcome]), flush=True)
"""


class Case(NamedTuple):
    """``gt`` and ``pred``: bytes of the file, or what JSON makes of the value. ``words``: the refusal has them all."""

    words: tuple[str, ...]
    gt: Any = None
    pred: Any = None
    allow_empty: bool = False


def truth(segmentation: Any = None, *, video: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    annotation = {
        "id": 1,
        "video_id": 1,
        "category_id": 1,
        "iscrowd": 0,
        "height": H,
        "width": W,
        "segmentations": [[SQUARE] if segmentation is None else segmentation, None],
        "areas": [900, None],
        **changes,
    }
    entry = {"id": 1, "height": H, "width": W, "length": 2, "file_names": ["v/0.jpg", "v/1.jpg"], **(video or {})}
    return {"videos": [entry], "categories": [{"id": 1, "name": "harp"}], "annotations": [annotation]}


def prediction(segmentation: Any = None, **changes: Any) -> dict[str, Any]:
    return {"video_id": 1, "category_id": 1, "score": 0.5, "segmentations": [segmentation, None], **changes}


def without(entry: dict[str, Any], key: str) -> dict[str, Any]:
    return {name: value for name, value in entry.items() if name != key}


def nested(depth: int) -> bytes:
    return b"[" * depth + b"]" * depth


CASES: dict[str, Case] = {}


def case(name: str, *words: str, gt: Any = None, pred: Any = None, allow_empty: bool = False) -> None:
    assert name not in CASES
    CASES[name] = Case(words, gt, pred, allow_empty)


# run lengths: what each does to C code that trusts it stands in COCO's own source
for label, counts, words in [
    ("empty", "", "empty"),
    ("character below", "PP9/", "not part of a run length"),
    ("character above", "PP9~", "not part of a run length"),
    ("null byte", "PP9\0", "not part of a run length"),
    ("trailing continuation", "PP", "cut off"),
    ("only continuations", "o" * 5000, "cut off"),
    ("many continuations", "o" * 5000 + "0", "longer than any image"),
    ("negative run", "PP9O", "negative run"),
    ("huge run", "ooooo?", "cover"),
    ("short sum", "PP8", "cover"),
    ("long sum", "PP:", "cover"),
    ("more runs than pixels", "1" * 2 + "0" * 40000, "cover"),
    ("zero runs", "0" * 100000, "cover 0 pixels"),
    ("inner zeros", "0" * 100000 + "PP9", "length 0 between others"),
    ("printed bytes", "b'PP9'", "printed Python bytes"),
    ("not ASCII", "PP9é", "not part of a run length"),
    ("lone surrogate", "\ud800", "not part of a run length"),
    ("number", 9216, "expected text or a list"),
    ("null", None, "expected text or a list"),
    ("object", {}, "expected text or a list"),
    ("list: negative", [-5, 9221], "run 0 is -5"),
    ("list: float", [9216.0], "run 0 is 9216.0"),
    ("list: text", ["9216"], "run 0 is '9216'"),
    ("list: nested", [[9216]], "run 0 is"),
    ("list: short", [9215], "cover 9215"),
    ("list: huge", [2**64], "cover 18446744073709551616"),
    ("list: empty", [], "cover 0"),
    ("list: inner zeros", [0] * 100000 + [9216], "length 0 between others"),
]:
    run = {"size": [H, W], "counts": counts}
    case(f"rle {label}, predicted", "predictions[0].segmentations[0]", "counts", words, pred=[prediction(run)])
    case(f"rle {label}, annotated", "annotations[0].segmentations[0]", "counts", words, gt=truth(run))
    case(f"rle {label}, in a list", "annotations[0].segmentations[0]", "counts", words, gt=truth([run, ZEROS]))
for label, size in [
    ("zero", [0, 0]),
    ("one zero", [0, W]),
    ("huge", [10**9, 10**9]),
    ("beyond 64 bits", [2**64, 1]),
    ("negative", [-H, -W]),
    ("text", "72x128"),
    ("texts", ["72", "128"]),
    ("floats", [72.0, 128.0]),
    ("three", [H, W, 3]),
    ("null", None),
    ("nested", [[H], [W]]),
]:
    run = {"size": size, "counts": "PP9"}
    case(f"rle size {label}, predicted", "predictions[0].segmentations[0]: size", pred=[prediction(run)])
    case(f"rle size {label}, annotated", "annotations[0].segmentations[0]: size", gt=truth(run))
case(
    "rle without size",
    "predictions[0].segmentations[0]",
    "expected a run length",
    pred=[prediction({"counts": "PP9"})],
)
case("rle without counts", "expected a run length", pred=[prediction({"size": [H, W]})])
case("rle of nothing", "expected a run length", pred=[prediction({})])
case("rle in a list twice", SCORED, gt=truth([ZEROS, ZEROS]), pred=[prediction([ZEROS, ZEROS])])
case("rle uncompressed", SCORED, pred=[prediction({"size": [H, W], "counts": [9216, 0]})])
case("rle transposed", "72x128, expected 128x72", pred=[prediction({"size": [W, H], "counts": "PP9"})])
case("rle of another size", "is 4x4, expected 128x72", pred=[prediction({"size": [4, 4], "counts": "`0"})])
case("segmentation is text", "expected null, polygons or a run length", pred=[prediction("PP9")])
case("segmentation is a number", "expected null, polygons or a run length", gt=truth(0))
case("segmentation is false", "expected null, polygons or a run length", pred=[prediction(False)])
case("segmentation is a mixture", "not a mixture", gt=truth([SQUARE, ZEROS]))
case("segmentation of nulls", "not a mixture", gt=truth([None]))

# polygons
for label, polygons, words in [
    ("flat", SQUARE, "a flat list of numbers"),
    ("box", [[1, 2, 30, 40]], "2 corners"),
    ("point", [[1, 2]], "1 corners"),
    ("nothing", [[]], "0 numbers"),
    ("later nothing", [SQUARE, []], "polygon 1: 0 numbers"),
    ("odd", [[1, 2, 3, 4, 5, 6, 7]], "7 numbers"),
    ("infinite", [[1, 2, 3, 4, 5, float("inf")]], "Infinity"),
    ("overflowing", b"[[1, 2, 3, 4, 5, 1e999]]", "coordinate inf lies far outside"),
    ("not a number", [[1, 2, 3, 4, 5, float("nan")]], "NaN"),
    ("far away", [[0, 0, 1e300, 0, 1e300, 1e300]], "lies far outside"),
    ("far before", [[0, 0, -2e9, 0, -2e9, -2e9]], "lies far outside"),
    ("huge integer", [[0, 0, 10**400, 0, 5, 5]], "lies far outside"),
    ("text", [["1", "2", "3", "4", "5", "6"]], "expected numbers"),
    ("truth values", [[True, 2, 3, 4, 5, 6]], "expected numbers"),
    ("null", [[None, 2, 3, 4, 5, 6]], "expected numbers"),
    ("pairs", [[[1, 2], [3, 4], [5, 6]]], "expected numbers"),
    ("zigzag", [[-2000, 0, 2000, 72] * 5000], "outline is longer"),
]:
    document: Any = truth(polygons)
    if isinstance(polygons, bytes):
        document = json.dumps(truth("HERE")).encode().replace(b'"HERE"', polygons)
    case(f"polygon {label}", words, gt=document)
case("polygon outside", SCORED, gt=truth([[500, 500, 600, 500, 600, 600]]))
case("polygon across", SCORED, gt=truth([[-500, -500, 600, -500, 600, 600, -500, 600]]))
case("polygon without extent", SCORED, gt=truth([[5, 5] * 3]))
case("polygon of lines and points", SCORED, gt=truth([SQUARE, [1, 2], [1, 2, 3, 4]]))
case("polygon of very many corners", SCORED, gt=truth([[10, 10, 11, 10, 11, 11, 10, 11] * 50000]))

# scores, ids, lengths
for label, score in [("text", "0.5"), ("null", None), ("negative", -0.1), ("truth value", True), ("list", [0.5])]:
    case(f"score {label}", "predictions[1].score", pred=[prediction(), prediction(score=score)])
case("score missing", "predictions[0].score is missing", pred=[without(prediction(), "score")])
case("score nan", "holds NaN", "line 1 column", pred=[prediction(score=float("nan"))])
case("score infinite", "holds Infinity", "line 1 column", pred=[prediction(score=float("inf"))])
case("score -infinite", "holds -Infinity", "line 1 column", pred=[prediction(score=float("-inf"))])
case("score overflowing", "predictions[0].score", pred=b'[{"video_id": 1, "category_id": 1, "score": 1e999}]')
case("score of many digits", "digits", pred=b'[{"video_id": 1, "category_id": 1, "score": ' + b"9" * 5000 + b"}]")
case("score far above one", SCORED, pred=[prediction(ZEROS, score=1e300)])
for label, value in [
    ("truth value", True),
    ("float", 1.0),
    ("text", "1"),
    ("null", None),
    ("huge", 2**63),
    ("negative", -1),
]:
    case(f"id {label}: annotation", "annotations[0].id", gt=truth(id=value))
    case(f"id {label}: annotation's video", "annotations[0].video_id", gt=truth(video_id=value))
    case(f"id {label}: annotation's category", "annotations[0].category_id", gt=truth(category_id=value))
    case(f"id {label}: video", "videos[0].id", gt=truth(video={"id": value}))
    case(f"id {label}: prediction's video", "predictions[0].video_id", pred=[prediction(video_id=value)])
    case(f"id {label}: prediction's category", "predictions[0].category_id", pred=[prediction(category_id=value)])
case("unknown video", "video 5, 9 not in the ground truth", pred=[prediction(video_id=9), prediction(video_id=5)])
case("unknown videos", "and 90 more", pred=[prediction(video_id=9 + n) for n in range(100)])
case("unknown category", "category 5 not in the ground truth", pred=[prediction(category_id=5)])
case("unknown video of an annotation", "annotations[0].video_id is 9", gt=truth(video_id=9))
case("unknown category of an annotation", "annotations[0].category_id is 9", gt=truth(category_id=9))
case("largest id", SCORED, gt=truth(id=2**53), pred=[prediction(ZEROS)])
case("track id twice", "predictions[1].id is 4 again", pred=[prediction(id=4), prediction(id=4)])
twice = truth()
case("annotation id twice", "annotations[1].id is 1 again", gt={**twice, "annotations": twice["annotations"] * 2})
case("video id twice", "videos[1].id is 1 again", gt={**twice, "videos": twice["videos"] * 2})
case("category id twice", "categories[1].id is 1 again", gt={**twice, "categories": twice["categories"] * 2})
case("category name twice", "categories[1].name is 'harp' again", gt={**twice, "categories": [
    {"id": 1, "name": "harp"}, {"id": 2, "name": "harp"}]})  # fmt: skip
case("very many categories", SCORED, gt={**twice, "categories": [
    {"id": number, "name": str(number)} for number in range(2000)]})  # fmt: skip
case("frames missing", "segmentations is a list of 1", "expected 2", pred=[prediction(segmentations=[ZEROS])])
case("frames missing, annotated", "segmentations is a list of 0", gt=truth(segmentations=[], areas=[]))
case("frames too many", SCORED, pred=[prediction(segmentations=[ZEROS] * 50)])
case("segmentations null", "segmentations is null", pred=[prediction(segmentations=None)])
case("segmentations missing", "segmentations is missing", pred=[without(prediction(), "segmentations")])
case("areas too few", "annotations[0].areas is a list of 1", gt=truth(areas=[900]))
case("areas negative", "annotations[0].areas[0]", gt=truth(areas=[-1, None]))
case("areas text", "annotations[0].areas[0]", gt=truth(areas=["900", None]))
case("crowd as truth value", SCORED, gt=truth(iscrowd=False))
case("crowd as text", "annotations[0].iscrowd", gt=truth(iscrowd="yes"))
case("size of zero", "height is 0", gt=truth(height=0))
case("size absurd", "at most", gt=truth(height=60000, width=60000))
case("sizes disagree", "annotations[1] is 5x5 pixels", gt={**twice, "annotations": [
    *twice["annotations"], truth(id=2, height=5, width=5)["annotations"][0]]})  # fmt: skip
case("size nowhere", "height is missing", gt={**without(twice, "annotations"), "annotations": [], "videos": [
    without(twice["videos"][0], "height")]}, allow_empty=True)  # fmt: skip

# documents
case("no predictions", SCORED, pred=[])
case("prediction is null", "predictions[0] is null", pred=[None])
case("predictions are a number", "expected a results list", pred=5)
case("predictions are another object", "expected a results list", pred={"results": []})
case("swapped", "--gt and --pred are swapped", gt=[prediction()], pred=truth())
case("ground truth twice", "--gt and --pred are swapped", pred=truth())
case("ground truth is tracks", "a tracks.json", gt={"format": "avis-tracks", "version": 1})
case("no videos", "this is no ground truth", gt={**twice, "videos": []})
case("no categories", "this is no ground truth", gt={**twice, "categories": []})
case("no annotations", "annotations is empty", gt={**twice, "annotations": []})
case("no annotations, wanted", SCORED, gt={**twice, "annotations": []}, allow_empty=True)
case("annotations withheld", "annotations is null", gt={**twice, "annotations": None})
case("annotations missing", "annotations is missing", gt=without(twice, "annotations"))
case("nothing sounds", SCORED, gt=truth(segmentations=[None, None], areas=[None, None]), pred=[prediction(ZEROS)])
case("frames have no names", "file_names is empty", gt=truth(video={"file_names": []}))
case("frame name is a number", "file_names[0]", gt=truth(video={"file_names": [1, 2]}))
case("frame names climb out", SCORED, gt=truth(video={"file_names": ["../../etc/passwd", "/etc/passwd"]}))
case("empty file", "not JSON", "line 1 column 1", pred=b"")
case("trailing comma", "not JSON", "line 2 column", pred=b"[1,\n]")
case("two documents", "Extra data at line 2", pred=b"[]\n[]")
case("truncated", "not JSON", "line 1 column", pred=json.dumps([prediction(ZEROS)]).encode()[:-20])
case("comment", "not JSON", "line 1 column 1", pred=b"// none\n[]")
case("key twice", '"score" stands twice', "line 2 column", pred=b'[{"score": 1,\n "score": 2}]')
case("nested too deep", "nested too deep", "line 1 column 101", pred=nested(200_000))
case("nested objects", "nested too deep", "line 1 column", pred=b'{"a":' * 100_000 + b"1" + b"}" * 100_000)
case("nested within an entry", "not a mixture", pred=[prediction([[[[[[[1]]]]]], ZEROS])])
case("byte order mark", "byte order mark", "line 1 column 1", pred=b"\xef\xbb\xbf[]")
case("UTF-16", "UTF-16", "line 1 column 1", pred="[]".encode("utf-16"))
case("UTF-16 without mark", "UTF-16", pred="[]".encode("utf-16-le"))
case("UTF-32", "UTF-32", pred="[]".encode("utf-32"))
case("Latin-1", "byte 0xe9 at line 2 column 2 is not UTF-8", pred=b'[\n"\xe9"]')
case("zip archive", "a zip archive", pred=b"PK\x03\x04" + bytes(100))
case("gzip damaged", "damaged gzip", pred=gzip.compress(b"[]" * 100)[:-6])
case("gzip header only", "damaged gzip", pred=b"\x1f\x8b")
case("gzip bomb", "the limit of", pred=gzip.compress(bytes(4 * MAX_BYTES)))
case("too large", "the limit is", "--max-bytes", pred=b"[" + b" " * MAX_BYTES + b"]")
case("picture", "not UTF-8", pred=b"\x89PNG\r\n\x1a\n" + b"\xff" * 100)
case("name with a lone surrogate", SCORED, gt=truth(video={"file_names": ["\ud800/0", "\ud800/1"]}), pred=[])


def _run(cases: list[Any]) -> dict[str, str]:
    """Outcome by name; a process that dies takes its case's, and a new one does the rest."""
    outcomes: dict[str, str] = {}
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    while cases:
        done = subprocess.run(
            [sys.executable, "-c", RUNNER], input=json.dumps(cases), capture_output=True, text=True, env=environment
        )
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        assert lines, done.stderr
        outcomes.update({name: outcome for name, outcome in lines if outcome is not None})
        if lines[-1][1] is None:
            outcomes[lines[-1][0]] = f"CRASH {done.returncode}: {done.stderr[-300:]}"
        cases = [entry for entry in cases if entry[0] not in outcomes]
    return outcomes


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("hostile")

    def write(name: str, content: Any) -> str:
        path: Path = folder / name
        path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
        return str(path)

    plain_truth, plain_prediction = write("gt.json", truth()), write("pred.json", [prediction(ZEROS)])
    listed = []
    for number, (name, entry) in enumerate(CASES.items()):
        gt = plain_truth if entry.gt is None else write(f"{number}_gt.json", entry.gt)
        pred = plain_prediction if entry.pred is None else write(f"{number}_pred.json", entry.pred)
        listed.append([name, gt, pred, entry.allow_empty, MAX_BYTES])
    return _run(listed)


@pytest.mark.parametrize("name", CASES)
def test_each_is_refused_in_words_or_scored(outcomes: dict[str, str], name: str) -> None:
    outcome, words = outcomes[name], CASES[name].words
    if words == (SCORED,):
        assert outcome == SCORED
        return
    assert outcome != SCORED
    for word in words:
        assert word in outcome
    assert ".json: " in outcome
    assert len(outcome) < 500
    assert "\n" not in outcome


@pytest.mark.parametrize("kind", ["missing", "folder", "pipe", "device"])
def test_what_is_no_file_is_refused_at_once(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "gt.json"
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        path = Path(os.devnull)
    outcome = _run([["it", str(path), str(path), False, MAX_BYTES]])["it"]
    words = {"missing": "no such file", "folder": "a folder, expected a JSON file"}
    assert words.get(kind, "not a regular file, expected a JSON file") in outcome
