"""Descriptions that come with a file: every field has a type and a range."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar, Literal

import pytest
import torch

from avis_cli.errors import WeightsError
from avis_cli.models import Preset, description, find_preset, find_system, preset_names
from avis_cli.models.avism.config import PRESETS, ResNetSizes, SmallResNetSizes, SwinSizes
from avis_cli.models.description import build
from avis_cli.models.ranges import check, check_relations


@dataclass(frozen=True)
class Inner:
    RANGES: ClassVar[dict[str, tuple[float, float]]] = {"sizes": (1, 9)}
    sizes: tuple[int, ...] = (1, 2)


@dataclass(frozen=True)
class Outer:
    RANGES: ClassVar[dict[str, tuple[float, float]]] = {"count": (2, 4), "share": (0, 1)}
    count: int = 3
    share: float = 0.5
    pair: tuple[float, int] = (1.5, 2)
    way: Literal["a", "b"] = "a"
    flag: bool = False
    name: str = "x"
    part: Inner | None = None
    other: int = 65_536  # in no table


@dataclass(frozen=True)
class Further(Outer):
    RANGES: ClassVar[dict[str, tuple[float, float]]] = {"count": (2, 40)}


@pytest.mark.parametrize("change", [
    {}, {"count": 2}, {"count": 4}, {"share": 0}, {"share": 1.0}, {"way": "b"}, {"part": Inner()}, {"name": "y" * 1000},
    {"pair": (-0.0, 65_536)},
])  # fmt: skip
def test_what_is_in_range_passes(change: dict[str, Any]) -> None:
    check(replace(Outer(), **change))


@pytest.mark.parametrize(("change", "message"), [
    ({"count": 1}, "count is 1, expected a whole number from 2 to 4"),
    ({"count": 5}, "count is 5"),
    ({"count": 3.0}, "count is 3.0"),
    ({"count": True}, "count is true"),
    ({"count": "3"}, 'count is "3"'),
    ({"count": None}, "count is null"),
    ({"count": 10**5000}, "more than 40 digits"),
    ({"share": 1.0001}, "share is 1.0001, expected a number from 0 to 1"),
    ({"share": float("nan")}, "share is NaN"),
    ({"share": float("inf")}, "share is Infinity"),
    ({"share": False}, "share is false"),
    ({"pair": (1.5,)}, "a list of 1 elements, expected 2"),
    ({"pair": (1.5, 2.5)}, r"pair\[1\] is 2.5, expected a whole"),
    ({"pair": (-1, 2)}, r"pair\[0\] is -1"),
    ({"pair": [1, 2]}, "expected a list"),
    ({"way": "c"}, 'way is "c", expected a or b'),
    ({"way": ["a"]}, "way is a list"),
    ({"flag": 1}, "flag is 1, expected true or false"),
    ({"name": ""}, 'name is "", expected text'),
    ({"name": "y" * 1001}, "name is "),
    ({"name": "\ud800"}, "surrogate"),
    ({"part": Inner((0,))}, r"sizes\[0\] is 0, expected a whole number from 1 to 9"),
    ({"part": Inner(())}, "sizes is a list of 0 elements"),
    ({"part": 7}, "part is 7, expected Inner"),
    ({"other": 65_537}, "other is 65537"),
])  # fmt: skip
def test_what_is_not_is_named(change: dict[str, Any], message: str) -> None:
    with pytest.raises(WeightsError, match=message):
        check(replace(Outer(), **change))


def test_a_subclass_widens_a_range_and_keeps_the_others() -> None:
    check(Further(count=40))
    with pytest.raises(WeightsError, match="share is 2"):
        check(Further(share=2))


def test_presets_are_in_range() -> None:
    for name in preset_names():
        config = find_preset(name).config
        check(config)
        check_relations(config.relations())


@pytest.mark.parametrize("kind", [ResNetSizes, SmallResNetSizes, SwinSizes, type(PRESETS["avism-tiny"])])
def test_every_number_has_a_range_of_its_own(kind: Any) -> None:
    ranges = {name for base in kind.__mro__ for name in vars(base).get("RANGES", {})}
    numbers = {field.name for field in fields(kind) if "int" in str(field.type) or "float" in str(field.type)}
    assert numbers == ranges


TINY = PRESETS["avism-tiny"]
SMALL = SmallResNetSizes()


@pytest.mark.parametrize(("change", "message"), [
    ({"heads": 3}, "a width that is a multiple of heads"),
    ({"norm_groups": 3}, "a width that is a multiple of norm_groups"),
    ({"width": 130, "heads": 2, "norm_groups": 2}, "a width that is a multiple of 4"),
    ({"short_side": 300}, "a short_side up to long_side"),
    ({"size_divisor": 16}, "a size_divisor that is a multiple of 32"),
    ({"audio": "vggish", "audio_width": 64}, "an audio_width of 128"),
    ({"categories": ("a", "b", "a")}, "categories with a name of their own"),
    ({"lateral_widths": (64,)}, "2 lateral_widths"),
    ({"lateral_widths": (33, 64)}, "lateral_widths that are multiples"),
    ({"backbone": replace(SMALL, norm_groups=7)}, "widths of a small ResNet that are multiples"),
    ({"backbone": replace(SMALL, depths=(1, 1))}, "5 depths and widths"),
    ({"backbone": SwinSizes(heads=(5, 10, 20, 40)), "lateral_widths": (64,)}, "multiples of their heads"),
    ({"backbone": SwinSizes(depths=(2, 2)), "lateral_widths": (64,)}, "4 depths and heads"),
    ({"backbone": ResNetSizes((1, 2, 3)), "lateral_widths": (64,)}, "4 depths of a ResNet"),
])  # fmt: skip
def test_fields_that_contradict_each_other_are_refused(change: dict[str, Any], message: str) -> None:
    read = find_system("avism").read_config
    assert read(TINY.to_dict()) == TINY
    with pytest.raises(WeightsError, match=message):
        read(replace(TINY, **change).to_dict())


def test_a_network_larger_than_its_tensors_is_not_built(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(description, "_ALWAYS_BUILT", 1000)
    monkeypatch.setattr(description, "_BUFFERS", 1000)
    tiny = find_preset("avism-tiny")
    size = sum(tensor.numel() for tensor in tiny.system.build(TINY).state_dict().values())
    with pytest.raises(WeightsError, match=rf"avism-tiny, is larger than the {size // 2} numbers it holds"):
        build(tiny, {"a": torch.empty(size // 2, device="meta")})
    # with as many numbers as the network has it is the names that are looked at
    assert build(tiny, {"a": torch.empty(size // 2, device="meta"), "b": torch.empty(size, device="meta")}).training


def test_a_network_that_cannot_be_built_is_refused() -> None:
    preset = find_preset("avism-tiny")
    with pytest.raises(WeightsError, match=r"no network is as the file describes it \(num_channels .* divisible"):
        build(Preset(preset.system, replace(TINY, norm_groups=3)), {})
