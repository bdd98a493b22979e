"""What a JSON text will take in memory once it is parsed, told from its bytes while they are read.

Three bytes, ``[],``, become a list of 56 bytes and a place for it: a text can take twenty-five times its size. Real
annotations are mostly run lengths, which take little more than they are long.
"""

from __future__ import annotations

# bytes of Python's objects; a key is kept once however often it is used, so that its share is small
_LIST, _OBJECT, _ELEMENT, _KEY, _TEXT, _NUMBER = 64, 200, 9, 100, 50, 28  # a list grows by an eighth in advance
_VALUES_WITHOUT_SIZE = (b"null", b"true", b"false")


class JsonCost:
    """Add the bytes of a JSON text piece by piece; ``total`` is what it will take, in bytes, text included."""

    def __init__(self) -> None:
        self._values = 0  # bytes of what it is parsed into, beside the characters of its texts
        self._length = self._outside = 0
        self._is_ascii = True
        self._in_text = False
        self._held = b""  # a backslash whose second half is still to come

    @property
    def total(self) -> int:
        # one character beyond ASCII may widen all of them
        return (2 * self._length - self._outside) * (1 if self._is_ascii else 4) + self._values

    def add(self, piece: bytes) -> None:
        piece = self._held + piece
        whole = len(piece) - (len(piece) - len(piece.rstrip(b"\\"))) % 2
        self._held, piece = piece[whole:], piece[:whole]
        self._length += len(piece)
        self._is_ascii = self._is_ascii and piece.isascii()
        if b"\\" in piece:
            piece = piece.replace(rb"\\", b"").replace(rb"\"", b"")
        # split at quotes, every other part is inside a text
        parts = piece.split(b'"')
        outside = b"".join(parts[self._in_text :: 2])
        quotes = len(parts) - 1
        self._in_text ^= quotes % 2 == 1
        self._outside += len(outside)
        self._values += _values(outside, quotes // 2)


def _values(outside: bytes, texts: int) -> int:
    """Bytes of the values in JSON of which ``outside`` is what stands outside of its texts, keys among these."""
    lists, objects, keys, commas = (outside.count(sign) for sign in (b"[", b"{", b":", b","))
    texts = max(texts - keys, 0)
    others = lists + objects + texts + sum(outside.count(word) for word in _VALUES_WITHOUT_SIZE)
    numbers = max(commas + keys - others, 0)
    return lists * _LIST + objects * _OBJECT + keys * _KEY + commas * _ELEMENT + texts * _TEXT + numbers * _NUMBER
