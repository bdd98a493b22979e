"""What a user can be told went wrong, and the exit code each kind ends with.

Every message is one line: what was got, what was expected, what to do. Where what to do takes several steps, these
follow it. Code that reads input raises one of these; anything else that escapes is a bug.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from avis_cli.text import printable


class AvisError(Exception):
    """A failure that the user can act on.

    ``cause`` says what was got and what was expected, ``hint`` what to do, ``file`` names the input. ``usage``: what
    was given is of a kind that can never do, a folder for a file or the other way round: the exit code is that of
    wrong usage. ``steps``: what to do by hand, in order, where one line does not hold it; the command line numbers them
    below the line.
    ``headline`` is the one line ``FILE: cause; hint``, in which nothing moves a terminal's cursor; ``str(error)`` is
    that line with the steps at its end.
    """

    exit_code = 1

    def __init__(
        self,
        cause: str,
        *,
        hint: str | None = None,
        file: str | os.PathLike[str] | None = None,
        usage: bool = False,
        steps: Sequence[str] = (),
    ) -> None:
        if usage:
            self.exit_code = UsageError.exit_code
        self.cause = cause
        self.hint = hint
        self.steps = tuple(map(_one_line, steps))
        self.file = None if file is None else os.fspath(file)
        super().__init__(cause)

    @property
    def headline(self) -> str:
        line = self.cause if self.hint is None else f"{self.cause}; {self.hint}"
        if self.file is not None:
            line = f"{self.file}: {line}"
        return _one_line(line)

    def __str__(self) -> str:
        return " ".join([self.headline, *(f"({number}) {step}" for number, step in enumerate(self.steps, start=1))])


def _one_line(text: str) -> str:
    # file names may hold anything: line breaks, escape sequences, bytes that are not text
    return printable(" ".join(text.splitlines()))


class UsageError(AvisError):
    """The command was asked for something that cannot be, whatever the input holds."""

    exit_code = 2


class MediaError(AvisError):
    """A media file that cannot be read or written."""


class WeightsError(AvisError):
    """Weights that cannot be found, trusted or loaded."""


class AnnotationError(AvisError):
    """Ground truth, predictions or a tracking file that do not mean what their format says."""


class OutputError(AvisError):
    """Results that cannot be written."""


class ClusterError(AvisError):
    """A cluster that cannot be reached, or whose workers do not start or do not live."""
