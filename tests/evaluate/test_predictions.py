"""Ground truth and predictions as readers understand them: encodings, names, times, sizes."""

from __future__ import annotations

import copy
import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pycocotools import mask as coco

from avis_cli.datasets.tracks import Dataset
from avis_cli.datasets.truth import read_truth
from avis_cli.errors import AnnotationError
from avis_cli.evaluate.predictions import read_predictions
from avis_cli.evaluate.track_files import annotation_times
from avis_cli.results import run_length

H, W = 24, 32
SQUARE = [4, 4, 12, 4, 12, 12, 4, 12]
PIXELS = np.zeros((H, W), dtype=bool)
PIXELS[4:12, 4:12] = True
RLE = run_length.encode(PIXELS)
RUNS = [4 * H + 4, *[8, H - 8] * 7, 8, H * W - (4 * H + 4) - 8 * H + H - 8]


def truth(**changes: Any) -> dict[str, Any]:
    annotation = {
        "id": 7,
        "video_id": 3,
        "category_id": 2,
        "iscrowd": 0,
        "height": H,
        "width": W,
        "segmentations": [[SQUARE], None, [SQUARE]],
        "areas": [64, None, 60.5],
        **changes,
    }
    video = {"id": 3, "height": H, "width": W, "length": 3, "file_names": [f"harp_1/0000{n}.jpg" for n in range(3)]}
    categories = [{"id": 1, "name": "person"}, {"id": 2, "name": "harp"}]
    return {"info": {}, "videos": [video], "categories": categories, "annotations": [annotation]}


def prediction(**changes: Any) -> dict[str, Any]:
    return {"video_id": 3, "category_id": 2, "score": 0.5, "segmentations": [RLE, None, RLE], **changes}


def tracks(times: list[float], masks: list[Any], **changes: Any) -> dict[str, Any]:
    track = {"id": 1, "category_id": 9, "category": "harp", "score": 0.75, "segmentations": masks, **changes}
    return {
        "format": "avis-tracks",
        "version": 1,
        "source": {"file": "harp_1.mp4", "width": W, "height": H},
        "times": times,
        "tracks": [track],
    }


def write(path: Path, value: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(value).encode()
    path.write_bytes(gzip.compress(text) if path.suffix == ".gz" else text)
    return path


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    return read_truth(write(tmp_path / "gt.json", truth()))


@pytest.mark.parametrize("name", ["gt.json", "gt.json.gz", "named_wrongly.json.gz.txt"])
def test_ground_truth_is_read_plain_and_gzipped(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / name, truth())
    dataset = read_truth(path)
    assert [(category.id, category.name) for category in dataset.categories] == [(1, "person"), (2, "harp")]
    (video,) = dataset.videos
    assert (video.id, video.name, video.length, video.height, video.width) == (3, "harp_1", 3, H, W)
    assert video.predictions == []
    (track,) = video.truths
    assert (track.id, track.category_id, track.is_crowd, track.areas) == (7, 2, False, [64.0, None, 60.5])
    assert track.masks[1] is None
    assert [coco.area(mask) for mask in track.masks if mask is not None] == [64, 64]


@pytest.mark.parametrize(
    "segmentation",
    [
        [SQUARE],
        [[4, 4, 8, 4, 8, 12, 4, 12], [8.0, 4.0, 12.0, 4.0, 12.0, 12.0, 8.0, 12.0]],
        [[4, 4, 10, 4, 10, 12, 4, 12], [6, 4, 12, 4, 12, 12, 6, 12]],
        [SQUARE, [1, 1]],
        RLE,
        [RLE],
        [RLE, RLE],
        {"size": [H, W], "counts": RUNS},
        [{"size": [H, W], "counts": RUNS}, RLE],
    ],
    ids=["polygon", "two", "overlapping", "point", "compressed", "listed", "twice", "uncompressed", "both"],
)
@pytest.mark.parametrize("side", ["truth", "prediction"])
def test_every_encoding_in_use_gives_the_same_mask(tmp_path: Path, segmentation: Any, side: str) -> None:
    lists = [segmentation, None, segmentation]
    document = truth(segmentations=lists) if side == "truth" else truth()
    dataset = read_truth(write(tmp_path / "gt.json", document))
    path = write(tmp_path / "pred.json", [prediction(segmentations=lists)])
    (video,) = read_predictions(path, dataset).videos
    track = video.truths[0] if side == "truth" else video.predictions[0]
    assert track.masks[1] is None
    for index in (0, 2):
        mask = track.masks[index]
        assert mask is not None
        assert isinstance(mask["counts"], bytes)
        assert np.array_equal(coco.decode(mask), PIXELS)


def test_counts_are_kept_as_they_were_spelt(tmp_path: Path, dataset: Dataset) -> None:
    zeros = coco.frPyObjects({"size": [H, W], "counts": [H * W, 0]}, H, W)["counts"].decode()
    path = write(tmp_path / "pred.json", [prediction(segmentations=[{"size": [H, W], "counts": zeros}, None, None])])
    mask = read_predictions(path, dataset).videos[0].predictions[0].masks[0]
    assert mask == {"size": [H, W], "counts": zeros.encode()}


def test_empty_lists_are_absent_and_remembered(tmp_path: Path) -> None:
    dataset = read_truth(write(tmp_path / "gt.json", truth(segmentations=[[], None, [SQUARE]])))
    (track,) = dataset.videos[0].truths
    assert track.masks[:2] == [None, None]
    assert track.empty_lists == {0}


def test_a_polygon_outside_the_frame_is_present_without_pixels(tmp_path: Path) -> None:
    outside = [2 * W, 0, 3 * W, 0, 3 * W, H]
    dataset = read_truth(write(tmp_path / "gt.json", truth(segmentations=[[outside], None, None])))
    mask = dataset.videos[0].truths[0].masks[0]
    assert mask is not None
    assert coco.area(mask) == 0


def test_lists_longer_than_the_video_are_kept(tmp_path: Path) -> None:
    document = truth(segmentations=[[SQUARE]] * 5, areas=[64] * 5)
    dataset = read_truth(write(tmp_path / "gt.json", document))
    path = write(tmp_path / "pred.json", [prediction(segmentations=[RLE] * 4)])
    (video,) = read_predictions(path, dataset).videos
    assert (video.length, len(video.truths[0].masks), len(video.predictions[0].masks)) == (3, 5, 4)


def test_areas_come_from_the_masks_where_the_file_has_none(tmp_path: Path) -> None:
    document = truth()
    del document["annotations"][0]["areas"]
    (track,) = read_truth(write(tmp_path / "gt.json", document)).videos[0].truths
    assert track.areas == [64.0, None, 64.0]


def test_annotations_decide_the_size_and_the_video_where_they_say_nothing(tmp_path: Path) -> None:
    document = truth()
    document["videos"][0].update(height=1, width=1)
    (video,) = read_truth(write(tmp_path / "gt.json", document)).videos
    assert (video.height, video.width) == (H, W)
    document = truth()
    del document["annotations"][0]["height"]
    (video,) = read_truth(write(tmp_path / "gt.json", document)).videos
    assert (video.height, video.width) == (H, W)


def test_videos_may_share_a_name_and_stay_apart(tmp_path: Path) -> None:
    document = truth()
    document["videos"].append({**document["videos"][0], "id": 4})
    document["annotations"].append({**copy.deepcopy(document["annotations"][0]), "id": 1, "video_id": 4})
    videos = read_truth(write(tmp_path / "gt.json", document)).videos
    assert [(video.id, video.name, [track.id for track in video.truths]) for video in videos] == [
        (3, "harp_1", [7]),
        (4, "harp_1", [1]),
    ]


def test_predictions_keep_their_order_and_their_place_in_the_file(tmp_path: Path, dataset: Dataset) -> None:
    path = write(tmp_path / "pred.json.gz", [prediction(score=0), prediction(score=0.9, category_id=1)])
    found = read_predictions(path, dataset)
    assert [(track.entry, track.score, track.category_id) for track in found.videos[0].predictions] == [
        (0, 0.0, 2),
        (1, 0.9, 1),
    ]
    assert dataset.videos[0].predictions == []
    assert found.categories == dataset.categories


def test_an_empty_results_list_is_no_error(tmp_path: Path, dataset: Dataset) -> None:
    assert read_predictions(write(tmp_path / "pred.json", []), dataset).videos[0].predictions == []


def test_unknown_videos_and_categories_are_listed_or_ignored(tmp_path: Path, dataset: Dataset) -> None:
    path = write(tmp_path / "video.json", [prediction(), prediction(video_id=78), prediction(video_id=77)])
    with pytest.raises(AnnotationError, match=r"predictions\[2\].video_id: video 77, 78 not in the ground truth"):
        read_predictions(path, dataset)
    assert len(read_predictions(path, dataset, ignore_unknown=True).videos[0].predictions) == 1
    path = write(tmp_path / "category.json", [prediction(category_id=99)])
    with pytest.raises(AnnotationError, match=r"predictions\[0\].category_id: category 99 not in the ground truth"):
        read_predictions(path, dataset)
    (track,) = read_predictions(path, dataset, ignore_unknown=True).videos[0].predictions
    assert track.category_id == 99


def test_ground_truth_without_annotations_is_refused_unless_allowed(tmp_path: Path) -> None:
    path = write(tmp_path / "gt.json", {**truth(), "annotations": []})
    with pytest.raises(AnnotationError, match=r"gt.json: annotations is empty.*expected at least one sounding object"):
        read_truth(path)
    assert read_truth(path, allow_empty=True).videos[0].truths == []


@pytest.mark.parametrize("folder", ["harp_1.mp4", "harp_1", "deeper/harp_1.webm", "renamed"])
def test_a_folder_of_tracks_is_matched_by_name(tmp_path: Path, dataset: Dataset, folder: str) -> None:
    write(tmp_path / "out" / folder / "tracks.json", tracks([0.0, 1.0, 2.0], [RLE, None, RLE]))
    (track,) = read_predictions(tmp_path / "out", dataset).videos[0].predictions
    assert (track.category_id, track.score, track.entry) == (2, 0.75, 0)
    assert [mask is not None for mask in track.masks] == [True, False, True]


def test_a_single_tracks_file_is_read_too(tmp_path: Path, dataset: Dataset) -> None:
    path = write(tmp_path / "harp_1.mp4" / "tracks.json", tracks([0.0], [RLE]))
    assert len(read_predictions(path, dataset).videos[0].predictions) == 1


def test_annotated_frames_get_the_nearest_mask_frame_within_half_a_period(tmp_path: Path, dataset: Dataset) -> None:
    shifted = [run_length.encode(np.roll(PIXELS, shift, axis=1)) for shift in range(5)]
    document = tracks([0.04, 0.96, 1.1, 1.4, 2.7], list(shifted))
    write(tmp_path / "out" / "harp_1" / "tracks.json", document)
    (track,) = read_predictions(tmp_path / "out", dataset).videos[0].predictions
    # frame 2 is at 2.0 s: the nearest mask frame is 0.6 s away, in the period of frame 1
    assert [mask and mask["counts"].decode() for mask in track.masks] == [
        shifted[0]["counts"],
        shifted[1]["counts"],
        None,
    ]
    (track,) = read_predictions(tmp_path / "out", dataset, annotation_fps=2.5).videos[0].predictions
    assert [mask and mask["counts"].decode() for mask in track.masks] == [
        shifted[0]["counts"],
        None,
        shifted[1]["counts"],
    ]


@pytest.mark.parametrize(
    ("names", "seconds"),
    [
        (["v/00000.jpg", "v/00001.jpg", "v/00002.jpg"], [0, 1, 2]),
        (["v/00001.jpg", "v/00002.jpg", "v/00004.jpg"], [0, 1, 3]),
        (["v/00000.jpg", "v/00005.jpg", "v/00020.jpg"], [0, 1, 4]),
        (["v/b.jpg", "v/a.jpg"], [0, 1]),
        (["v/2.jpg", "v/1.jpg"], [0, 1]),
        (["v/7.jpg", "v/7.jpg"], [0, 1]),
        (["v/7.jpg"], [0]),
    ],
)
def test_gaps_in_the_numbering_of_frames_are_gaps_in_time(names: list[str], seconds: list[float]) -> None:
    assert annotation_times(names) == seconds
    assert annotation_times(names, fps=4.0) == [second / 4 for second in seconds]


def test_videos_without_a_result_are_named_and_count_as_empty(tmp_path: Path) -> None:
    document = truth()
    document["videos"].append({**document["videos"][0], "id": 4, "file_names": ["bell/0.jpg"]})
    dataset = read_truth(write(tmp_path / "gt.json", document))
    write(tmp_path / "out" / "harp_1" / "tracks.json", tracks([0.0], [RLE]))
    lines: list[str] = []
    found = read_predictions(tmp_path / "out", dataset, warn=lines.append)
    assert [len(video.predictions) for video in found.videos] == [1, 0]
    assert len(lines) == 1
    assert "1 of 2 videos (bell)" in lines[0]


def test_results_of_unknown_videos_and_categories_in_a_folder(tmp_path: Path, dataset: Dataset) -> None:
    stranger = {**tracks([0.0], [RLE]), "source": {"file": "bell.mp4"}}
    write(tmp_path / "out" / "bell.mp4" / "tracks.json", stranger)
    with pytest.raises(AnnotationError, match=r"no video in the ground truth for bell.mp4"):
        read_predictions(tmp_path / "out", dataset)
    assert read_predictions(tmp_path / "out", dataset, ignore_unknown=True).videos[0].predictions == []
    write(tmp_path / "own" / "harp_1" / "tracks.json", tracks([0.0], [RLE], category="bell"))
    with pytest.raises(AnnotationError, match=r'tracks\[0\].category is "bell"'):
        read_predictions(tmp_path / "own", dataset)
    (track,) = read_predictions(tmp_path / "own", dataset, ignore_unknown=True).videos[0].predictions
    assert track.category_id not in {1, 2}


def test_two_results_for_one_video_are_refused(tmp_path: Path, dataset: Dataset) -> None:
    for name in ("harp_1.mp4", "harp_1.mkv"):
        write(tmp_path / "out" / name / "tracks.json", tracks([0.0], [RLE]))
    with pytest.raises(AnnotationError, match=r"harp_1.mp4/tracks.json: belongs to video 'harp_1', as .*harp_1.mkv"):
        read_predictions(tmp_path / "out", dataset)


def test_file_names_that_climb_out_are_names_and_nothing_else(tmp_path: Path) -> None:
    document = truth()
    document["videos"][0]["file_names"] = ["../secret/0.jpg", "/etc/passwd", "../../x.jpg"]
    (video,) = read_truth(write(tmp_path / "gt" / "gt.json", document)).videos
    assert video.name == ".."
    write(tmp_path / "secret" / "tracks.json", tracks([0.0], [RLE]))
    (tmp_path / "out").mkdir()
    with pytest.raises(AnnotationError, match=r"no tracks.json in this folder"):
        read_predictions(tmp_path / "out", read_truth(tmp_path / "gt" / "gt.json"))
