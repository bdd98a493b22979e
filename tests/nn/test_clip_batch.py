"""What frames and clips are to learn from the objects of a clip."""

from __future__ import annotations

import pytest
import torch

from avis_cli.nn.clip_batch import ClipTargets, frame_targets, video_targets


def clip_targets() -> ClipTargets:
    """One clip of two frames: objects 0 and 1 share a category, 2 never sounds; slot 3 is empty."""
    masks = torch.zeros(1, 2, 4, 2, 4)
    for o in range(3):
        masks[0, :, o, :, o] = 1
    sounding = torch.tensor([[[True, False, False, False], [True, True, False, False]]])
    return ClipTargets(
        categories=torch.tensor([[5, 5, 2, -1]]),
        masks=masks,
        sounding=sounding,
        tags=torch.zeros(1, 2, 6, dtype=torch.bool),
        complete=torch.tensor([True]),
    )


def test_frames_learn_what_sounds_in_them_and_know_the_rivals() -> None:
    frames = frame_targets(clip_targets())
    assert frames.categories.tolist() == [[5, -1, -1, -1], [5, 5, -1, -1]]
    torch.testing.assert_close(frames.rivals[0, 0, 0], clip_targets().masks[0, 0, 1])
    assert frames.rivals[0, 2].sum() == 0


@pytest.mark.parametrize(
    ("judged", "counted", "silent_pixels"),
    [
        ("sounding", [[True, True], [False, True]], 2),
        ("seen", [[True, True], [True, True]], 2),
        ("all", [[True, True], [True, True]], 0),
    ],
)
def test_videos_are_judged_where_the_recipe_says(judged: str, counted: list[list[bool]], silent_pixels: int) -> None:
    videos = video_targets(clip_targets(), judged)
    assert videos.categories.tolist() == [[5, 5, -1, -1]]
    assert videos.counted[0, :2].tolist() == counted
    assert videos.masks[0, 1, 0].sum() == silent_pixels
