"""Released names and our own, both ways, and what is refused."""

from __future__ import annotations

import json

import parity_fill
import pytest
import torch
from acvis_examples import small
from torch import Tensor

from avis_cli.errors import WeightsError
from avis_cli.models import recognise
from avis_cli.models.acvis import checkpoint
from avis_cli.models.acvis.config import PRESETS
from avis_cli.models.acvis.network import Acvis
from avis_cli.models.acvis.system import build
from avis_cli.models.two_level.config import SmallResNetSizes


def described() -> dict[str, Tensor]:
    """A released checkpoint's names and shapes, without memory for the values."""
    keys = json.loads((parity_fill.DATA / "acvis" / "keys_acvis_R50.json").read_text())
    return {name: torch.empty(shape, device="meta") for name, (shape, _) in keys.items()}


@pytest.fixture(scope="module")
def network() -> Acvis:
    torch.manual_seed(0)
    return build(small("acvis-r50-coco"))


@pytest.fixture(scope="module")
def released(network: Acvis) -> dict[str, Tensor]:
    return checkpoint.naming(network.config).to_released(network.state_dict())


@pytest.mark.parametrize("preset", PRESETS)
def test_every_released_name_has_a_place_of_its_shape(preset: str) -> None:
    config = PRESETS[preset]
    with torch.device("meta"):
        wanted = build(config).state_dict()
    given, naming = described(), checkpoint.naming(config)
    named = naming.from_released(given)
    assert {name: tensor.shape for name, tensor in named.items()} == {n: tensor.shape for n, tensor in wanted.items()}
    back = naming.to_released(wanted)
    assert set(given) - set(back) == set(naming.derived)
    assert len(given) == 825


def test_names_load_both_ways(network: Acvis, released: dict[str, Tensor]) -> None:
    for weights in (released, network.state_dict()):
        torch.manual_seed(1)
        other = build(network.config)
        checkpoint.load(other, weights)
        assert all(torch.equal(tensor, other.state_dict()[name]) for name, tensor in network.state_dict().items())


def test_a_file_without_post_processing_is_refused(network: Acvis, released: dict[str, Tensor]) -> None:
    without = {name: tensor for name, tensor in released.items() if "pproc" not in name}
    with pytest.raises(WeightsError, match=r"missing: audio_backbone\.pproc\.pca_eigen_vectors"):
        checkpoint.load(build(network.config), without)


def test_the_older_way_to_count_is_refused(network: Acvis, released: dict[str, Tensor]) -> None:
    older = {**released, "sem_seg_head.predictor.cnt_proj.weight": torch.zeros(3, 32)}
    with pytest.raises(WeightsError, match=r"localizer.count_head.weight \(3, 32\) instead of \(2, 32\)"):
        checkpoint.load(build(network.config), older)


def test_a_network_of_another_make_has_no_released_names() -> None:
    other = small("acvis-r50-in", backbone=SmallResNetSizes(), lateral_widths=(16, 32), encoder_layers=0)
    with pytest.raises(WeightsError, match="no released naming"):
        checkpoint.naming(other)
    network = build(other)
    checkpoint.load(network, network.state_dict())


def test_which_preset_it_is_the_names_do_not_tell(released: dict[str, Tensor]) -> None:
    names = described().keys()
    assert checkpoint.match(names).alike == ("acvis-r50-in", "acvis-r50-coco")
    assert recognise(names, likely="acvis-r50-coco").config.name == "acvis-r50-coco"
    for likely in (None, "avism-r50-in"):
        with pytest.raises(WeightsError, match="the tensors fit acvis-r50-in and acvis-r50-coco alike") as caught:
            recognise(names, likely=likely)
        assert "--name acvis-r50-in" in str(caught.value)
    fewer = [name for name in names if "pproc" not in name]
    with pytest.raises(WeightsError, match=r"acvis: the nearest is acvis-r50-in, 821 of its 823 .*pca_"):
        recognise(fewer)
