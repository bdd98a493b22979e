"""Label images: one class a pixel, as indices or as colours; of two classes, light and dark."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from avis_cli.errors import AnnotationError
from avis_cli.results.palette import to_classes

IGNORED = 255
BINARY = 2
_FORMATS = ("PNG", "BMP")
_HALF = 127  # of 255; brighter is foreground


def open_labels(path: Path) -> Image.Image:
    """The image of a file. Raises AnnotationError for anything else."""
    try:
        return Image.open(path, formats=_FORMATS)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise AnnotationError(f"not a label image that can be read ({error})", file=path) from None


def read_label_image(path: Path, classes: int, size: tuple[int, int] | None = None) -> NDArray[np.int64]:
    """(H, W) of ``classes`` classes, the background being 0, and ``IGNORED``.

    A palette image or one of 8 or 16 bits holds indices, one of colours VOC's. Of two classes a palette's index above
    0, a grey above 127, or a colour that is not black is foreground; greys of 0 and 1
    alone are refused, as they are indices that were saved as greys. ``size``: width and height that it must have.
    Raises AnnotationError naming the file, and the first pixel that is of no class.
    """
    found: NDArray[np.int64]
    with open_labels(path) as image:
        if size is not None and image.size != size:
            raise AnnotationError(
                f"{image.width}x{image.height} pixels, its picture has {size[0]}x{size[1]}", file=path
            )
        try:
            if image.mode in ("RGB", "RGBA"):
                colours = np.array(image.convert("RGB"))
                found = np.asarray(colours.any(2), np.int64) if classes == BINARY else to_classes(colours, classes)
            elif image.mode in ("P", "L", "1", "I", "I;16"):
                found = np.array(image).astype(np.int64)
                if classes == BINARY:
                    return _foreground(found, image.mode, path).astype(np.int64)
            else:
                raise AnnotationError(f"an image of mode {image.mode}, expected indices or colours", file=path)
        except (OSError, SyntaxError, ValueError) as error:
            raise AnnotationError(f"not a label image that can be read ({error})", file=path) from None
    bad = (found < 0) | ((found >= classes) & (found != IGNORED))
    if bad.any():
        row, column = (int(place) for place in np.argwhere(bad)[0])
        what = "a colour of no class" if found[row, column] < 0 else f"class {found[row, column]}"
        raise AnnotationError(
            f"{what} at row {row}, column {column}, expected one of {classes} classes",
            hint="label images are never resized with a smooth filter",
            file=path,
        )
    return found


def _foreground(values: NDArray[np.int64], mode: str, path: Path) -> NDArray[np.bool_]:
    if mode in ("P", "1"):
        return values > 0
    if values.max(initial=0) == 1:
        raise AnnotationError("greys of 0 and 1", hint="save 0 and 255, or a palette image", file=path)
    return values > _HALF
