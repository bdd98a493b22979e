"""VGGish: log-mel patches -> audio embeddings (Hershey et al., ICASSP 2017; the published release's layer sizes)."""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from avis_cli.errors import WeightsError
from avis_cli.nn.audio import MEL_BANDS, PATCH_FRAMES

# the public PyTorch release's layer -> ours; ours are the names of the paper's TensorFlow release
RELEASED_LAYERS = {
    "features.0": "conv1",
    "features.3": "conv2",
    "features.6": "conv3_1",
    "features.8": "conv3_2",
    "features.11": "conv4_1",
    "features.13": "conv4_2",
    "embeddings.0": "fc1_1",
    "embeddings.2": "fc1_2",
    "embeddings.4": "fc2",
}
PREFIX = "vggish."  # of its tensors in a weights file that holds the segmenting network as well
POOLINGS = 4  # each halves both axes of a patch


class Vggish(nn.Module):
    """Patches (T, 96, 64) -> embeddings (T, embedding), all >= 0.

    ``widths``: channels of the four stages; ``hidden``: units of the two inner dense layers. The defaults are the
    published sizes (72 million parameters); a small model may be given smaller ones.
    """

    def __init__(
        self, widths: tuple[int, int, int, int] = (64, 128, 256, 512), hidden: int = 4096, embedding: int = 128
    ) -> None:
        super().__init__()
        first, second, third, fourth = widths
        self.conv1 = nn.Conv2d(1, first, 3, padding=1)
        self.conv2 = nn.Conv2d(first, second, 3, padding=1)
        self.conv3_1 = nn.Conv2d(second, third, 3, padding=1)
        self.conv3_2 = nn.Conv2d(third, third, 3, padding=1)
        self.conv4_1 = nn.Conv2d(third, fourth, 3, padding=1)
        self.conv4_2 = nn.Conv2d(fourth, fourth, 3, padding=1)
        cells = (PATCH_FRAMES >> POOLINGS) * (MEL_BANDS >> POOLINGS)
        self.fc1_1 = nn.Linear(cells * fourth, hidden)
        self.fc1_2 = nn.Linear(hidden, hidden)
        self.fc2 = nn.Linear(hidden, embedding)

    def forward(self, patches: Tensor) -> Tensor:
        # (T, 96, 64) -> (T, C, 6, 4)
        x = patches.unsqueeze(1)
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        x = F.max_pool2d(F.relu(self.conv3_2(F.relu(self.conv3_1(x)))), 2)
        x = F.max_pool2d(F.relu(self.conv4_2(F.relu(self.conv4_1(x)))), 2)
        # channels last before flattening, as the dense layers were trained: (T, 6, 4, C) -> (T, 24 C)
        x = x.permute(0, 2, 3, 1).flatten(1)
        x = F.relu(self.fc1_1(x))
        x = F.relu(self.fc1_2(x))
        # rectified at the end too
        return F.relu(self.fc2(x))


class QuantizedVggish(nn.Module):
    """VGGish and the post-processing of its release: principal components, clipped, in 256 steps.

    Patches (T, 96, 64) -> (T, embedding), whole numbers 0..255 as float32. Rounding passes no gradient on.
    """

    pca_vectors: Tensor
    pca_means: Tensor

    LIMIT = 2.0  # components are clipped to -LIMIT..LIMIT
    STEPS = 255

    def __init__(self, vggish: Vggish) -> None:
        super().__init__()
        width = vggish.fc2.out_features
        self.vggish = vggish
        self.register_buffer("pca_vectors", torch.eye(width))  # one component a row
        self.register_buffer("pca_means", torch.zeros(width, 1))

    def forward(self, patches: Tensor) -> Tensor:
        # half to even, as the release
        return self.scaled(self.vggish(patches)).round()

    def scaled(self, embeddings: Tensor) -> Tensor:
        """VGGish's embeddings (T, embedding) -> their components on the scale of 0..255, not rounded yet."""
        # in bfloat16 the steps would be wider than the rounding's
        with torch.autocast(embeddings.device.type, enabled=False):
            components = (embeddings.float() - self.pca_means.float().T) @ self.pca_vectors.float().T
            clipped = components.clamp(-self.LIMIT, self.LIMIT)
            return (clipped + self.LIMIT) * (self.STEPS / (2 * self.LIMIT))


def own_names(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same tensors under our names, whichever of the two namings they come in; unknown names stay as they are."""
    renamed = {}
    for name, tensor in tensors.items():
        layer, _, leaf = name.rpartition(".")
        renamed[f"{RELEASED_LAYERS.get(layer, layer)}.{leaf}" if layer else name] = tensor
    return renamed


def load_vggish(tensors: Mapping[str, Tensor], network: Vggish | None = None) -> Vggish:
    """A network in evaluation mode filled from ``tensors`` (released or own names), every name and shape matching.

    ``network``: what to fill; a VGGish of the published sizes if None. Raises WeightsError naming the first
    missing, unexpected or wrongly shaped tensor.
    """
    network = Vggish() if network is None else network
    given, wanted = own_names(tensors), network.state_dict()
    missing = [name for name in wanted if name not in given]
    unexpected = [name for name in given if name not in wanted]
    if missing or unexpected:
        counts = f"{len(missing)} missing, {len(unexpected)} unexpected"
        first = f"first missing: {missing[0]}" if missing else f"first unexpected: {unexpected[0]}"
        raise WeightsError(f"not the weights of a VGGish: {counts} tensors ({first})")
    for name, tensor in wanted.items():
        if given[name].shape != tensor.shape:
            raise WeightsError(
                f"not the weights of this VGGish: {name} is {tuple(given[name].shape)}, expected {tuple(tensor.shape)}"
            )
        if not given[name].isfinite().all():
            raise WeightsError(f"non-finite parameters in the VGGish weights: {name}")
    network.load_state_dict(given, strict=True)
    return network.eval()


def split_off(tensors: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The tensors of one weights file -> those of the network that segments, and those of its VGGish (maybe none)."""
    rest = {name: tensor for name, tensor in tensors.items() if not name.startswith(PREFIX)}
    own = {name.removeprefix(PREFIX): tensor for name, tensor in tensors.items() if name.startswith(PREFIX)}
    return rest, own
