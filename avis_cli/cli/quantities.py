"""Times and rates as people type them -> exact fractions."""

from __future__ import annotations

import re
from fractions import Fraction

from avis_cli.errors import UsageError

# at most so many digits that no clock of a media file overflows
_TIME = re.compile(r"(?:(?:(\d{1,6}):)?([0-5]?\d):)?(\d{1,9}(?:\.\d{1,9})?)", re.ASCII)
_RATE = re.compile(r"\d{1,9}(?:\.\d{1,9}|/[1-9]\d{0,8})?", re.ASCII)


def seconds(text: str, option: str) -> Fraction:
    """``12.5``, ``1:02.5`` or ``HH:MM:SS.s`` -> seconds. Raises UsageError naming ``option``."""
    match = _TIME.fullmatch(text.strip())
    if match is None or (match[2] is not None and Fraction(match[3]) >= 60):
        raise UsageError(f"{option} {text!r}, expected seconds (12.5) or HH:MM:SS.s (0:01:02.5)")
    hours, minutes, rest = match.groups()
    return int(hours or 0) * 3600 + int(minutes or 0) * 60 + Fraction(rest)


def rate(text: str, option: str) -> Fraction:
    """``2``, ``0.5`` or ``30000/1001`` -> frames per second. Raises UsageError naming ``option``."""
    if _RATE.fullmatch(text.strip()) is None or Fraction(text.strip()) == 0:
        raise UsageError(f"{option} {text!r}, expected frames per second such as 2, 0.5 or 30000/1001")
    return Fraction(text.strip())
