"""Writes docs/commands.md from the ``avis`` command's own declarations: ``python docs/make_commands.py``.

Nothing heavy is imported and nothing is laid out by the width of a terminal, so the page is the same on every machine.
A test compares the page with what this makes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from typer.main import get_command

from avis_cli.cli.command import ONLY, default_of, is_option, kind_of, panels_of, usage_of, value_of
from avis_cli.cli.main import app

PAGE = Path(__file__).with_name("commands.md")
_HEAD = """\
# Commands

<!-- made by docs/make_commands.py; change the texts in avis_cli/cli and avis_cli/options.py and run it again -->

What `avis COMMAND --help` says, as a page. Results (paths, or JSON with `--json`) go to stdout; notes, warnings,
progress and errors go to stderr, an error in one line, below which numbered lines may say what to do. Exit codes: 0 all
is well; 1 failed; 2 the command line makes no sense; 3 some inputs of several failed; 130 interrupted.
"""
_TAIL = """\
`-h` and `--help` print what is here. `avis --version` (`-v`) prints the version, `avis --install-completion` teaches
the shell to complete commands, options and the names that options take."""
_COMPLETION = ("install_completion", "show_completion")  # Typer's own; what they say depends on the shell
_DEFAULT = re.compile(r"\s*(?:\[default: (?P<square>.+)\]|\(default: (?P<round>.+)\)|Default: (?P<plain>.+?))\.?$")


def page() -> str:
    """The whole page as Markdown."""
    root = get_command(app)
    commands = list(_leaves(root, ("avis",)))
    common = _common([command for _, command in commands])
    lines = [_HEAD]
    lines += [f"- [`{' '.join(names)}`](#{'-'.join(names)}): {_prose(_first(command))}" for names, command in commands]
    lines += ["", "Every command takes these as well:", "", *_table("option", [_row(o, commands[0]) for o in common])]
    lines += ["", _TAIL]
    for names, command in commands:
        lines += ["", *_section(names, command, common)]
    return "\n".join(lines) + "\n"


def _leaves(command: Any, names: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command that does something, with the words that call it, in the order of the help."""
    if not hasattr(command, "commands"):
        yield names, command
        return
    for name, inner in command.commands.items():
        yield from _leaves(inner, (*names, name))


def _common(commands: Sequence[Any]) -> list[Any]:
    """The options that all commands have, with the same text."""
    shared = set.intersection(*({(*o.opts, o.help) for o in _options(command)} for command in commands))
    return [o for o in _options(commands[0]) if (*o.opts, o.help) in shared]


def _section(names: tuple[str, ...], command: Any, common: Sequence[Any]) -> list[str]:
    taken = {tuple(option.opts) for option in common}
    arguments = [p for p in command.params if not is_option(p)]
    options = [o for o in _options(command) if tuple(o.opts) not in taken]
    lines = [f"## {' '.join(names)}", "", *_paragraphs(command), ""]
    lines += ["```text", " ".join([*names, "[OPTIONS]"] + [usage_of(argument) for argument in arguments]), "```"]
    if arguments:
        lines += ["", *_table("argument", [_row(argument, command) for argument in arguments])]
    for heading, listed in panels_of(command, options).items():
        if listed:
            lines += ["", *_table("option" if heading == ONLY else heading, [_row(o, command) for o in listed])]
    if command.epilog:
        lines += ["", "```sh", *_examples(command.epilog), "```"]
    return lines


def _examples(epilog: str) -> list[str]:
    """The examples of the help, what each is for as a comment."""
    lines = [line for line in epilog.splitlines() if line.startswith("  ")]
    return [line.strip() if line.startswith("    ") else f"# {line.strip().removesuffix(':')}" for line in lines]


def _options(command: Any) -> list[Any]:
    return [p for p in command.params if is_option(p) and p.name not in _COMPLETION and not p.hidden]


def _table(first: str, rows: list[tuple[str, str, str]]) -> list[str]:
    return [f"| {first} | what it does | default |", "|---|---|---|", *(f"| {' | '.join(row)} |" for row in rows)]


def _row(parameter: Any, command: Any) -> tuple[str, str, str]:
    """Name and value, what it does, what holds where it is not given."""
    text = " ".join((parameter.help or "").split())
    found = _DEFAULT.search(text)
    if found is not None:
        # a default that is told in words is no value: it has its own column
        told = next(group for group in found.groups() if group)
        return _name(parameter, command), _prose(_ended(text[: found.start()])), _prose(told)
    return _name(parameter, command), _prose(text), _default(parameter)


def _name(parameter: Any, command: Any) -> str:
    if not is_option(parameter):
        return _code(usage_of(parameter))
    names = ", ".join(_code(name) for name in [*reversed(parameter.opts), *parameter.secondary_opts])
    return names if parameter.is_flag else f"{names} {_code(value_of(parameter, kind_of(parameter, command)))}"


def _default(parameter: Any) -> str:
    if parameter.required:
        return "required"
    default = default_of(parameter)
    return "" if default is None else _code(default)


def _ended(text: str) -> str:
    return text if not text or text.endswith((".", ":")) else f"{text}."


def _first(command: Any) -> str:
    return " ".join(command.help.split("\n\n")[0].split())


def _paragraphs(command: Any) -> list[str]:
    paragraphs = [_prose(" ".join(part.split())) for part in command.help.split("\n\n")]
    return "\n\n".join(paragraphs).split("\n")


def _code(text: str) -> str:
    # GitHub takes a bar for the end of a cell, in code too
    return f"`{text}`".replace("|", "\\|")


def _prose(text: str) -> str:
    """Help text as Markdown: angle brackets outside code are no tags, a bar ends no cell."""
    parts = text.split("`")
    parts[::2] = [part.replace("<", "&lt;").replace("*", "\\*") for part in parts[::2]]
    return "`".join(parts).replace("|", "\\|")


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8", newline="\n")
