"""Templates of the package -> one HTML file whose own policy forbids it the network.

Everything that is filled in is escaped. Scripts and styles are named in the policy by their SHA-256, so that nothing
that might slip into the page as text can ever run.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
from collections.abc import Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined
from jinja2.utils import htmlsafe_json_dumps
from markupsafe import Markup


def link(target: str | os.PathLike[str], folder: str | os.PathLike[str]) -> str:
    """URL of ``target`` for a page in ``folder``: relative, so that both can move together; percent-encoded.

    Where no relative path leads there (another drive) it is a ``file:`` URL.
    """
    try:
        relative = os.path.relpath(os.fspath(target), os.fspath(folder))
    except ValueError:
        return Path(target).absolute().as_uri()
    # a colon is encoded too: the first part of a relative address must not look like a scheme
    return quote(os.fsencode(Path(relative).as_posix()), safe="/")


# ASCII only and no <, > or &: nothing in the data can end the element that holds it
embedded_json = partial(
    htmlsafe_json_dumps,
    dumps=partial(json.dumps, ensure_ascii=True, allow_nan=False, separators=(",", ":")),
)


def render(template: str, *, scripts: Sequence[str], styles: Sequence[str], rules: str = "", **values: Any) -> bytes:
    """One page as UTF-8. ``scripts`` and ``styles`` name files of the package; ``rules``: further CSS, trusted."""
    script = '(() => {\n"use strict";\n' + "\n".join(map(source, scripts)) + "\n})();"
    style = "\n".join([*map(source, styles), rules])
    html = (
        _environment()
        .get_template(template)
        .render(policy=content_policy(script, style), script=Markup(script), style=Markup(style), **values)
    )
    # file names may hold bytes that are no text
    return html.encode("utf-8", "replace")


def content_policy(script: str, style: str) -> str:
    """The page's Content-Security-Policy: pictures from the page itself, videos from its own disk, nothing else."""
    return "; ".join(
        [
            "default-src 'none'",
            f"script-src {_digest(script)}",
            f"style-src {_digest(style)}",
            "img-src data:",
            "media-src 'self' file: blob:",
            "base-uri 'none'",
            "form-action 'none'",
        ]
    )


def source(name: str) -> str:
    """The text of a file of the package, with line feeds only, as a browser reads it."""
    environment = _environment()
    assert environment.loader is not None
    return environment.loader.get_source(environment, name)[0].replace("\r\n", "\n").strip("\n")


def _digest(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode('utf-8')).digest()).decode('ascii')}'"


@lru_cache(maxsize=1)
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("avis_cli.writers.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
