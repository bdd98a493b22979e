"""Makes the sample clips beside this file: ``python samples/make_samples.py [FOLDER]``.

They come from the synthetic world's split "sample", whose seeds no other split shares.
"""

from __future__ import annotations

import sys
from pathlib import Path

from avis_cli.synth.categories import name_of
from avis_cli.synth.dataset import clip_seed, make_clip
from avis_cli.synth.movie import write_movie
from avis_cli.synth.schedule import Spell

SECONDS, SIZE = 7, (640, 360)

# file -> index of the clip in split "sample" of seed 0
SAMPLES = {
    "silent_kettle.mp4": 378,
    "off_screen_drum.mp4": 9,
    "two_cats.mp4": 352,
}


def _heard(spells: tuple[Spell, ...]) -> str:
    if not spells:
        return "never sounds"
    return "sounds " + ", ".join(f"{max(spell.start, 0):.1f}-{spell.end:.1f} s" for spell in spells)


def main(folder: Path) -> None:
    """Writes the clips and says what happens in each."""
    for file, index in SAMPLES.items():
        clip = make_clip(clip_seed("sample", 0, index), frames=SECONDS, size=SIZE)
        write_movie(folder / file, clip)
        print(f"{file}: {(folder / file).stat().st_size / 1e6:.2f} MB, clip {index} of split sample, seed 0")
        for actor in clip.scene.actors:
            print(f"  {name_of(actor.category_id)} {_heard(actor.sounds)}")
        for sound in clip.scene.off_screen:
            print(f"  {name_of(sound.category_id)}, off screen, {_heard(sound.sounds)}")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
