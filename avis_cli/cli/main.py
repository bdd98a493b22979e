"""The ``avis`` command: which commands there are, and how each way of ending becomes an exit code."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence
from typing import Annotated

import typer

from avis_cli import __version__
from avis_cli.cli import console
from avis_cli.errors import AvisError

INTERRUPTED = 130  # what a shell reports for a program stopped by Ctrl-C

app = typer.Typer(
    name="avis",
    help="Find which objects in a video make the sound you hear: outlined, named and followed.",
    no_args_is_help=True,
    add_completion=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    pretty_exceptions_show_locals=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _register() -> None:  # TEMPORARY until every command file exists
    import importlib

    for name in ["segment", "render", "evaluate", "weights", "synth", "train", "info", "doctor"]:
        try:
            module = importlib.import_module(f"avis_cli.cli.{name}")
        except ModuleNotFoundError:
            continue
        if name == "weights":
            app.add_typer(module.app, name="weights")
        else:
            app.command(name)(getattr(module, name))


_register()


def _print_version(wanted: bool) -> None:
    if wanted:
        console.result(f"avis-cli {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Find which objects in a video make the sound you hear: outlined, named and followed."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code; ``arguments`` default to the process's own."""
    console.reset()
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    try:
        code = app(args=arguments, prog_name="avis", standalone_mode=False)
        return code if isinstance(code, int) else 0
    except AvisError as failure:
        return _report(failure, str(failure), failure.exit_code)
    except (KeyboardInterrupt, typer.Abort) as stop:
        return _report(stop, "interrupted", INTERRUPTED)
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else 1
    except BrokenPipeError:
        # the reader of stdout has gone (`| head`): nobody is left to tell
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as failure:
        if hasattr(failure, "format_message"):  # Typer's own: an option or argument that does not parse
            return _report(failure, f"{failure.format_message()}; see `avis --help`", getattr(failure, "exit_code", 2))
        cause = " ".join(f"{type(failure).__name__}: {failure}".split())
        return _report(failure, f"unexpected failure: {cause}; run again with --debug and report it", 1)


def _report(failure: BaseException, line: str, code: int) -> int:
    if console.is_debug():
        traceback.print_exception(failure)
    console.error(line)
    return code


def run() -> None:
    """Entry point of the console script."""
    sys.exit(main())
