"""A folder of data -> the clips of a split, whatever layout it has."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

from avis_cli.datasets import avsbench, vpo
from avis_cli.datasets.aviseg import SplitPaths, read_training_split
from avis_cli.datasets.vpo import Setting
from avis_cli.train.clips import FolderSource, NamedSource, SampleForm
from avis_cli.train.map_clips import AvsbenchSource, VpoSource

_SETTINGS: tuple[Setting, ...] = ("msmi", "ms", "ss")


def annotations_of(data: Path, split: str) -> list[Path]:
    """The files that say what is in a split, which need not be there: what a pack of its clips belongs to."""
    layout, setting = avsbench.find_layout(data), vpo_setting(data)
    if layout is not None:
        return [avsbench.list_of(data, layout)]
    if setting is not None:
        return [vpo.csv_of(data, setting)]
    paths = SplitPaths.of(data, split)
    return [paths.truth, paths.objects]


def has_split(data: Path, split: str) -> bool:
    """Whether there are clips of a split. Raises AnnotationError for a list that cannot be read."""
    layout, setting = avsbench.find_layout(data), vpo_setting(data)
    if layout is not None:
        return split in avsbench.splits_of(data, layout)
    if setting is not None:
        return split in vpo.splits_of(data, setting)
    return SplitPaths.of(data, split).truth.exists()


def vpo_setting(data: Path) -> Setting | None:
    """The setting of the VPO set in a folder, the one with most of them; None where there is no such set."""
    return next((setting for setting in _SETTINGS if vpo.csv_of(data, setting).is_file()), None)


def open_source(data: Path, split: str, config: Any, *, short_side: int | None = None) -> NamedSource:
    """The clips of a split, with the sound that a network of ``config`` hears. Raises AnnotationError for a split that
    there is not, and for what the layout does not allow."""
    samples, layout, setting = SampleForm.of(config), avsbench.find_layout(data), vpo_setting(data)
    if layout is not None:
        step = Fraction(str(getattr(config, "sound_step", None) or 1))
        return AvsbenchSource(
            avsbench.read_split(data, layout, split), short_side=short_side, samples=samples, sound_step=step
        )
    if setting is not None:
        return VpoSource(vpo.read_vpo(data, setting, split), short_side=short_side, samples=samples)
    return FolderSource(read_training_split(data, split), short_side=short_side, samples=samples)
