"""Sound to embeddings: parity with the original on the golden arrays, and the edges of a clip."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

import numpy as np
import paths
import pytest
import torch
from data.parity.fill import tensor
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from avis_cli.errors import WeightsError
from avis_cli.nn import audio
from avis_cli.nn.audio import LOG_OFFSET, log_mel, mel_matrix
from avis_cli.nn.vggish import RELEASED_LAYERS, Vggish, load_vggish

PARITY = paths.DATA / "parity"
SALT = 5  # of both golden files
OWN_LAYERS = {own: released for released, own in RELEASED_LAYERS.items()}


def released_weights(network: Vggish, salt: int) -> dict[str, Tensor]:
    weights = {}
    for name, value in network.state_dict().items():
        layer, _, leaf = name.rpartition(".")
        released = f"{OWN_LAYERS[layer]}.{leaf}"
        weights[released] = torch.from_numpy(tensor(released, value.shape, salt))
    return weights


def small_vggish() -> Vggish:
    torch.manual_seed(0)
    return Vggish(widths=(4, 4, 8, 8), hidden=16, embedding=12).eval()


@pytest.fixture(scope="module")
def filled() -> Vggish:
    network = Vggish()
    return load_vggish(released_weights(network, SALT), network)


@pytest.mark.parametrize("golden", ["audio_16k", "audio_44k1"])
def test_parity_with_the_original(golden: str, filled: Vggish) -> None:
    with np.load(PARITY / f"{golden}.npz") as data:
        arrays = {name: data[name] for name in data.files}
    assert int(arrays["salt"]) == SALT
    rate = int(arrays["sample_rate"])
    mono = torch.from_numpy((arrays["pcm"] / 32768.0).mean(axis=1).astype(np.float32))
    times = [Fraction(second) for second in range(len(arrays["logmel"]))]

    patches = audio.log_mel_patches(audio.token_windows(mono, rate, times), rate)
    embeddings = audio.embed(filled, patches)

    patch_error = (patches - torch.from_numpy(arrays["logmel"])).abs()
    expected = torch.from_numpy(arrays["embedding"])
    relative = float((embeddings - expected).norm() / expected.norm())
    print(
        f"{golden}: log-mel error max {float(patch_error.max()):.2e}, mean {float(patch_error.mean()):.2e};"
        f" embedding error {relative:.2e} relative"
    )
    if rate == 16_000:
        assert patch_error.max() < 1e-4
        assert relative < 1e-3
    else:  # the original interpolates its filter from a table; ours is computed
        assert patch_error.mean() < 0.01
        assert relative < 0.02


def test_a_mel_band_peaks_where_its_centre_is() -> None:
    weights = mel_matrix()
    assert weights.shape == (257, 64)
    assert not weights[0].any()
    centres = weights.argmax(dim=0)
    assert (centres.diff() >= 0).all()
    assert weights.max() <= 1.0


def test_silence_is_the_logarithm_of_the_offset_and_too_little_sound_is_zero() -> None:
    assert torch.allclose(log_mel(torch.zeros(15_600)), torch.tensor(LOG_OFFSET).log())
    assert not log_mel(torch.randn(15_599)).any()
    assert log_mel(torch.randn(2, 16_000)).shape == (2, 96, 64)


def test_only_the_first_96_hundredths_of_a_second_are_heard() -> None:
    sound = torch.randn(16_000)
    changed = sound.clone()
    changed[15_600:] = 0.0
    assert torch.equal(log_mel(sound), log_mel(changed))


def test_windows_follow_the_token_times() -> None:
    sound = torch.arange(25.0)
    windows = audio.token_windows(sound, 10, [Fraction(0), Fraction(1, 2), Fraction(2), Fraction(9)])
    assert [window.tolist() for window in windows] == [
        list(range(10)),
        list(range(5, 15)),
        list(range(20, 25)),
        [],
    ]


def test_sound_that_begins_late_is_preceded_by_silence() -> None:
    sound = torch.ones(20)
    late = audio.token_windows(sound, 10, [Fraction(0), Fraction(1), Fraction(2)], start=Fraction(13, 10))
    assert [window.tolist() for window in late] == [[], [0.0] * 3 + [1.0] * 7, [1.0] * 10]
    early = audio.token_windows(sound, 10, [Fraction(0)], start=Fraction(-1, 2))
    assert early[0].tolist() == [1.0] * 10


@given(length=st.integers(0, 400), rate=st.integers(1, 100), time=st.fractions(-3, 9), start=st.fractions(-3, 3))
def test_no_window_is_longer_than_a_second(length: int, rate: int, time: Fraction, start: Fraction) -> None:
    (window,) = audio.token_windows(torch.zeros(length), rate, [time], start)
    assert len(window) <= rate


def test_a_clip_shorter_than_one_patch_is_heard_once_padded() -> None:
    click = torch.randn(3_000)
    padded = audio.pad_to_one_window(click, 8_000)
    assert padded.shape == (8_000,)
    assert torch.equal(padded[:3_000], click)
    assert not padded[3_000:].any()
    assert not audio.log_mel_patches([click], 8_000).any()
    assert audio.log_mel_patches([padded], 8_000).any()
    assert audio.pad_to_one_window(torch.ones(15_600), 16_000).shape == (15_600,)
    assert audio.pad_to_one_window(torch.ones(0), 16_000).shape == (0,)


@pytest.mark.parametrize("rate", [8_000, 11_025, 22_050, 37_800, 44_101, 48_000, 96_000, 192_000])
def test_a_tone_keeps_its_pitch_and_level_at_any_rate(rate: int) -> None:
    def tone(at: int) -> Tensor:
        return torch.sin(2 * torch.pi * 1_000 * torch.arange(at, dtype=torch.float64) / at).float()

    resampled = audio.resample(tone(rate), rate)
    assert abs(len(resampled) - 16_000) <= 1
    middle = slice(2_000, 14_000)
    assert (resampled[middle] - tone(16_000)[middle]).abs().max() < 0.02


@settings(max_examples=15, deadline=None)
@given(rate=st.integers(4_000, 400_000))
def test_odd_rates_cost_no_more_than_usual_ones(rate: int) -> None:
    samples = rate // 10
    assert audio.resample(torch.zeros(samples), rate).shape[0] == pytest.approx(samples * 16_000 / rate, abs=2)


def test_windows_of_different_lengths_share_a_batch_without_touching() -> None:
    torch.manual_seed(1)
    windows = [torch.randn(8_000), torch.randn(7_900), torch.randn(10), torch.randn(8_000), torch.zeros(0)]
    together = audio.log_mel_patches(windows, 8_000)
    alone = torch.cat([audio.log_mel_patches([window], 8_000) for window in windows])
    assert torch.allclose(together, alone, atol=1e-3)
    assert together[[2, 4]].abs().max() == 0


def test_embedding_in_batches_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    network = small_vggish()
    patches = torch.randn(5, 96, 64)
    whole = audio.embed(network, patches)
    monkeypatch.setattr(audio, "BATCH", 2)
    assert whole.shape == (5, 12)
    assert torch.allclose(audio.embed(network, patches), whole, atol=1e-6)
    assert audio.embed(network, patches[:0]).shape == (0, 12)


def test_both_namings_fill_the_same_network() -> None:
    network = small_vggish()
    own = {name: value.clone() for name, value in network.state_dict().items()}
    released = {f"{OWN_LAYERS[name.rpartition('.')[0]]}.{name.rpartition('.')[2]}": own[name] for name in own}
    patches = torch.randn(1, 96, 64)
    expected = audio.embed(network, patches)
    for weights in (own, released):
        other = load_vggish(weights, Vggish(widths=(4, 4, 8, 8), hidden=16, embedding=12))
        assert torch.equal(audio.embed(other, patches), expected)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda weights: weights.pop("conv2.bias"), "first missing: conv2.bias"),
        (lambda weights: weights.update(extra=torch.ones(1)), "first unexpected: extra"),
        (lambda weights: weights.update({"fc2.bias": torch.ones(3)}), r"fc2.bias is \(3,\), expected \(12,\)"),
        (lambda weights: weights["fc2.bias"].fill_(torch.nan), "non-finite parameters in the VGGish weights: fc2.bias"),
    ],
    ids=["missing", "unexpected", "shape", "nan"],
)
def test_weights_that_do_not_match_are_named(change: Callable[[dict[str, Tensor]], object], message: str) -> None:
    weights = {name: value.clone() for name, value in small_vggish().state_dict().items()}
    change(weights)
    with pytest.raises(WeightsError, match=message):
        load_vggish(weights, Vggish(widths=(4, 4, 8, 8), hidden=16, embedding=12))
