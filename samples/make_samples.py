"""Makes the sample clips beside this file: ``python samples/make_samples.py [FOLDER]``.

They come from the synthetic world's split "sample", whose seeds no other split shares. A contact sheet of the same
clips shows the ground truth.
"""

from __future__ import annotations

import sys
from pathlib import Path

from PIL import Image

from avis_cli.datasets.synth import name_of
from avis_cli.datasets.synth.clips import clip_seed, make_clip
from avis_cli.datasets.synth.movie import write_movie
from avis_cli.datasets.synth.preview import contact_sheet
from avis_cli.datasets.synth.schedule import ActiveInterval

SECONDS = 7

# file -> index of the clip in split "sample" of seed 0, and its frame size
SAMPLES = {
    "silent_kettle.mp4": (2021, (640, 360)),
    "off_screen_drum.mp4": (9, (640, 360)),
    "two_bells.mp4": (561, (480, 270)),
}


def _heard(intervals: tuple[ActiveInterval, ...]) -> str:
    if not intervals:
        return "never sounds"
    return "sounds " + ", ".join(f"{max(interval.start, 0):.1f}-{interval.end:.1f} s" for interval in intervals)


def main(folder: Path) -> None:
    """Writes the clips and says what happens in each."""
    clips = []
    for file, (index, size) in SAMPLES.items():
        clip = make_clip(clip_seed("sample", 0, index), frames=SECONDS, size=size)
        write_movie(folder / file, clip)
        clips.append(clip)
        print(f"{file}: {(folder / file).stat().st_size / 1e6:.2f} MB, clip {index} of split sample, seed 0")
        for item in clip.scene.objects:
            print(f"  {name_of(item.category_id)} {_heard(item.sounds)}")
        for sound in clip.scene.off_screen:
            print(f"  {name_of(sound.category_id)}, off screen, {_heard(sound.sounds)}")
    sheet = Image.fromarray(contact_sheet(clips, thumbnail_width=200))
    sheet.quantize(255, Image.Quantize.MEDIANCUT).save(folder / "contact_sheet.png", optimize=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
