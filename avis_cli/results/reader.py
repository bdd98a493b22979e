"""Any result of avis out of a file, text or JSON values that nobody vouches for."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from avis_cli.errors import AnnotationError
from avis_cli.files.json_file import read_json
from avis_cli.files.strict_json import Node, parse
from avis_cli.results import clip, semantic
from avis_cli.results.clip import ClipResult
from avis_cli.results.frame import FrameResult
from avis_cli.results.semantic import SemanticResult

Result = ClipResult | SemanticResult | FrameResult


def read_result(source: str | os.PathLike[str] | Mapping[str, Any]) -> Result:
    """What a ``tracks.json`` (``ClipResult``), a ``maps.json`` (``SemanticResult``) or a line of ``avis stream --json``
    (``FrameResult``) says.

    ``source``: the path of a file (gzip is unpacked), JSON text, which begins with ``{``, or the values of a document
    that has been parsed already. Raises AnnotationError naming the field that is not as the format says.
    """
    top = _top(source)
    if not top.has("format") and top.has("v"):
        return FrameResult.from_node(top)
    kind = top.key("format")
    if kind.value == semantic.FORMAT:
        return SemanticResult.from_node(top)
    if kind.value != clip.FORMAT:
        kind.refuse(f'"{clip.FORMAT}" or "{semantic.FORMAT}"', hint="give a file that avis wrote")
    return ClipResult.from_node(top)


def read_clip_result(path: str | os.PathLike[str]) -> ClipResult | SemanticResult:
    """What a ``tracks.json`` or ``maps.json`` says. Raises AnnotationError as ``read_result``."""
    result = read_result(path)
    if isinstance(result, FrameResult):
        raise AnnotationError(
            "holds one frame of a stream", hint="give a tracks.json or maps.json", file=os.fspath(path)
        )
    return result


def _top(source: str | os.PathLike[str] | Mapping[str, Any]) -> Node:
    if isinstance(source, Mapping):
        return Node(dict(source))
    if isinstance(source, str) and source.lstrip().startswith("{"):
        return parse(source)
    return read_json(source)
