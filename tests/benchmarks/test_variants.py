"""The rows of the ablation table: each variant does to the network what it says, on clips of the synthetic world."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import pytest
import torch
from baselines.variants import VARIANTS, SwappedSound, Variant, find

import avis_cli
from avis_cli.datasets.synth.clips import make_clip
from avis_cli.inference.model import Model
from avis_cli.models.training import AudioAblation
from avis_cli.nn.audio import log_mel_patches, token_windows
from avis_cli.train.clips import RawClip
from avis_cli.train.predict import candidates_of, predict, predict_clip
from avis_cli.train.validate import Validation


class Clips:
    """Three clips of six seconds, in one of which something seen is silent at times."""

    def __init__(self) -> None:
        made = [make_clip(seed, frames=6, size=(160, 96)) for seed in (21, 22, 23)]
        self.categories = avis_cli.load_model("avism-tiny").config.categories
        self._raw = []
        for clip in made:
            seconds = [Fraction(second) for second in range(6)]
            windows = token_windows(torch.from_numpy(clip.waveform), 16_000, seconds)
            self._raw.append(
                RawClip(
                    frames=clip.images,
                    patches=log_mel_patches(windows, 16_000).numpy(),
                    categories=clip.category_ids - 1,
                    masks=clip.masks,
                    sounding=clip.sounding & clip.masks.any((2, 3)),
                    tags=np.zeros((6, 10), bool),
                    complete=True,
                )
            )

    def __len__(self) -> int:
        return len(self._raw)

    def length(self, clip: int) -> int:
        return 6

    def read(self, clip: int, frames: Sequence[int]) -> RawClip:
        """The whole clip, whatever is asked for: all have the same length."""
        return self._raw[clip]


@pytest.fixture(scope="module")
def model() -> Model:
    return avis_cli.load_model("avism-tiny")


@pytest.fixture(scope="module")
def clips() -> Clips:
    return Clips()


def score(model: Model, clips: Clips, variant: Variant) -> Validation:
    return find(model, clips, variant).validation()


def drawn(found: Validation) -> int:
    """Masks that have a pixel."""
    return int(found.scores["counts"]["predicted_masks"])


def test_the_variants_differ_as_their_names_say(model: Model, clips: Clips) -> None:
    full, muted, ungated = (score(model, clips, VARIANTS[name]) for name in ("full", "muted", "gate off"))
    assert drawn(full) > 0
    assert drawn(muted) == 0, "silence is silence"
    assert drawn(ungated) > drawn(full), "without the gate silent frames have masks too"
    assert full.gate == model.config.gate_threshold
    assert ungated.gate is None
    assert full.suppressed is not None
    assert ungated.suppressed is not None
    assert full.suppressed > ungated.suppressed


def test_a_network_that_may_not_hear_is_worse(model: Model, clips: Clips) -> None:
    full = score(model, clips, VARIANTS["full"]).fsla
    assert full is not None
    for audio in (AudioAblation(localizer=False), AudioAblation(localizer=False, tracker=False)):
        fsla = score(model, clips, Variant(audio)).fsla
        assert fsla is not None
        assert fsla < full - 10


def test_another_clips_sound_misleads_the_network(model: Model, clips: Clips) -> None:
    own, other = score(model, clips, VARIANTS["full"]), score(model, clips, VARIANTS["another clip's sound"])
    assert own.fsla is not None
    assert other.fsla is not None
    assert other.fsla < own.fsla - 10


def test_swapped_is_the_sound_alone(clips: Clips) -> None:
    swapped = SwappedSound(clips)
    for clip in range(3):
        own, next_one, found = clips.read(clip, ()), clips.read((clip + 1) % 3, ()), swapped.read(clip, range(6))
        assert np.array_equal(found.patches, next_one.patches)
        assert not np.array_equal(found.patches, own.patches)
        assert found.frames is own.frames
        assert found.sounding is own.sounding


def test_silent_objects_are_those_seen_and_not_heard(model: Model, clips: Clips) -> None:
    silent = predict(model, clips, len(clips)).silent
    counted = sum(mask is not None for clip in silent for track in clip for mask in track)
    expected = sum(
        bool(clips.read(n, ()).masks[o, t].any() and not clips.read(n, ()).sounding[o, t])
        for n in range(len(clips))
        for o in range(len(clips.read(n, ()).categories))
        for t in range(6)
    )
    assert counted == expected > 0


def test_the_frame_level_alone_is_linked_by_either_means(model: Model, clips: Clips) -> None:
    for name in ("tracker off", "SORT"):
        found = score(model, clips, VARIANTS[name])
        assert drawn(found) > 0
        assert found.gate is None


def test_scores_made_from_the_evidence_are_those_of_the_clip(model: Model, clips: Clips) -> None:
    for number in range(len(clips)):
        clip = clips.read(number, ())
        found = candidates_of(model, clip)
        tracks = predict_clip(model, clip, AudioAblation()).tracks(None)
        expected = sorted(score for score in found.scores if score > 0.3)
        assert sorted(track.score for track in tracks) == pytest.approx(expected, abs=1e-6)
        assert tracks
