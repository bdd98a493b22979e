"""Numbers in text of unknown origin, exact, and with so few digits that no later arithmetic can be made to hang.

``Fraction("1e999999999")`` computes a power of a billion digits before anybody can look at it; ``int`` and ``float``
read signs, blanks, underscores, digits of other scripts, infinity. So text out of a file is read here and nowhere else.
"""

from __future__ import annotations

import re
from fractions import Fraction

_WHOLE = re.compile(r"[0-9]{1,18}")
_DECIMAL = re.compile(r"[0-9]{1,12}(?:\.[0-9]{1,18})?")
_RATIO = re.compile(r"([0-9]{1,18})/([0-9]{1,18})")
_CLOCK = re.compile(r"(?:(?:([0-9]{1,6}):)?([0-9]{1,2}):)?([0-9]{1,9}(?:\.[0-9]{1,18})?)")


def whole_number(text: str) -> int | None:
    """Up to 18 digits; None for anything else."""
    return int(text) if _WHOLE.fullmatch(text) else None


def decimal(text: str) -> Fraction | None:
    """``12`` or ``12.5``; None for anything else."""
    return Fraction(text) if _DECIMAL.fullmatch(text) else None


def ratio(text: str) -> Fraction | None:
    """``30000/1001``; None for anything else, zero below the line included."""
    match = _RATIO.fullmatch(text)
    return None if match is None or int(match[2]) == 0 else Fraction(int(match[1]), int(match[2]))


def clock(text: str) -> Fraction | None:
    """``HH:MM:SS.fraction``, ``MM:SS.fraction`` or ``SS.fraction`` in seconds; None for anything else."""
    match = _CLOCK.fullmatch(text)
    if match is None:
        return None
    return int(match[1] or 0) * 3600 + int(match[2] or 0) * 60 + Fraction(match[3])
