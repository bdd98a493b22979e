"""Stores for tests: files in memory, and what goes wrong with requests for them."""

from __future__ import annotations

import random
from typing import Any, ClassVar

import fsspec
from fsspec.implementations.memory import MemoryFileSystem

REQUESTS = ("info", "find", "glob", "cat_file", "pipe_file", "rm_file", "get_file", "put_file")


class _Store(MemoryFileSystem):
    """Files of its own, apart from those of other protocols."""

    cachable = False

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return str(MemoryFileSystem._strip_protocol(path.replace(f"{cls.protocol}://", "memory://")))

    def request(self, name: str, path: str) -> None:
        """Called before each request."""

    def __getattribute__(self, name: str) -> Any:
        found = super().__getattribute__(name)
        if name not in REQUESTS:
            return found

        def asked(path: str, *args: Any, **kwargs: Any) -> Any:
            self.request(name, args[0] if name == "put_file" else path)
            return found(path, *args, **kwargs)

        return asked


class Flaky(_Store):
    """One request in ten fails, for a reason that passes."""

    protocol = "flaky"
    store: ClassVar[dict[str, Any]] = {}
    pseudo_dirs: ClassVar[list[str]] = [""]
    draw = random.Random(1)
    failures = 0

    def request(self, name: str, path: str) -> None:
        if self.draw.random() < 0.1:
            type(self).failures += 1
            raise ConnectionResetError("the connection was reset")


class ReadOnly(_Store):
    """Nothing can be written."""

    protocol = "readonly"
    store: ClassVar[dict[str, Any]] = {}
    pseudo_dirs: ClassVar[list[str]] = [""]
    asked = 0

    def request(self, name: str, path: str) -> None:
        if name in ("pipe_file", "put_file", "rm_file"):
            type(self).asked += 1
            raise PermissionError("Access Denied")


class Recorded(_Store):
    """Remembers what was put and removed, in order; ``fail_at``: the name of a file that cannot be put."""

    protocol = "recorded"
    store: ClassVar[dict[str, Any]] = {}
    pseudo_dirs: ClassVar[list[str]] = [""]
    puts: ClassVar[list[str]] = []
    fail_at: ClassVar[str | None] = None

    def request(self, name: str, path: str) -> None:
        if name == "put_file" and self.fail_at is not None and path.endswith(self.fail_at):
            raise PermissionError("Access Denied")
        if name in ("put_file", "rm_file"):
            self.puts.append(("-" if name == "rm_file" else "") + path.rpartition("/")[2])


def register() -> None:
    """Make the stores known to fsspec."""
    for kind in (Flaky, ReadOnly, Recorded):
        fsspec.register_implementation(kind.protocol, kind, clobber=True)


def fill(url: str, files: dict[str, bytes]) -> None:
    """Put files below a URL, without any fault."""
    for name, data in files.items():
        store, place = fsspec.core.url_to_fs(f"{url}/{name}")
        MemoryFileSystem.pipe_file(store, place, data)


def contents(url: str) -> dict[str, bytes]:
    """Every file below a URL, without any fault."""
    store, root = fsspec.core.url_to_fs(url)
    kept = {name: file for name, file in store.store.items() if name.startswith(root.rstrip("/") + "/")}
    return {name[len(root.rstrip("/")) + 1 :]: file.getvalue() for name, file in sorted(kept.items())}
