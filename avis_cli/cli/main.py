"""The ``avis`` command: which commands there are, and how each way of ending becomes an exit code."""

from __future__ import annotations

import os
import signal
import sys
import warnings
from collections.abc import Sequence
from types import FrameType
from typing import Annotated, Any

import typer

from avis_cli.cli import cancellable, console, vpo, weights
from avis_cli.cli.collect import collect
from avis_cli.cli.command import add_command
from avis_cli.cli.doctor import doctor
from avis_cli.cli.evaluate import evaluate
from avis_cli.cli.export import export
from avis_cli.cli.info import info
from avis_cli.cli.render import render
from avis_cli.cli.segment import segment
from avis_cli.cli.stream import stream
from avis_cli.cli.synth import synth
from avis_cli.cli.train import train
from avis_cli.errors import AvisError
from avis_cli.version import __version__

INTERRUPTED = 130  # what a shell reports for a program stopped by Ctrl-C
STOPPED = 128  # plus the number of the signal that asked a program to stop

app = typer.Typer(
    name="avis",
    help="Find which objects in a video make the sound you hear: outlined, named and followed.",
    no_args_is_help=True,
    add_completion=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    pretty_exceptions_show_locals=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
for _command in (segment, stream, collect, render, export, evaluate, synth, train, info, doctor):
    add_command(app, _command)
app.add_typer(weights.app, name="weights")
app.add_typer(vpo.app, name="vpo")


def _print_version(wanted: bool) -> None:
    if wanted:
        console.result(f"avis-cli {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", "-v", help="Print the version.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Find which objects in a video make the sound you hear: outlined, named and followed."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code; ``arguments`` default to the process's own."""
    console.reset()
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    try:
        code = app(args=arguments, prog_name="avis", standalone_mode=False)
    except AvisError as failure:
        console.report(failure)
        return failure.exit_code
    except KeyboardInterrupt:
        code = INTERRUPTED
    except typer.Abort as stop:
        # Typer takes an end of file for somebody's wish to stop: here nobody is asked anything
        if isinstance(stop.__cause__, EOFError):
            console.report(stop.__cause__)
            return 1
        code = INTERRUPTED
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else 1
    except BrokenPipeError:
        # the reader of stdout has gone (`| head`): nobody is left to tell
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as failure:
        if hasattr(failure, "format_message"):  # Typer's own: an option or argument that does not parse
            return _report_usage(failure, arguments)
        console.report(failure)
        return 1
    if code == INTERRUPTED:
        console.error("interrupted")
    return code if isinstance(code, int) else 0


def _report_usage(failure: Any, arguments: Sequence[str]) -> int:
    context = getattr(failure, "ctx", None)
    if type(failure).__name__ == "NoArgsIsHelpError":
        sys.stderr.write(f"{failure.format_message()}\n")
        return 2
    hint = f"see `{context.command_path if context is not None else 'avis'} --help`"
    if any(text.startswith("-") and os.path.exists(text) for text in arguments):
        hint = "a file whose name begins with a dash is given as ./-NAME"
    console.error(f"{failure.format_message().rstrip('. ')}; {hint}")
    return int(getattr(failure, "exit_code", 2))


def _stop(number: int, frame: FrameType | None) -> None:
    # raised where the program is, so that it leaves nothing half-written
    raise SystemExit(STOPPED + number)


def run() -> None:
    """Entry point of the console script."""
    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, _stop)
    if not sys.warnoptions:
        warnings.simplefilter("ignore")  # what libraries tell programmers; --debug shows it
    code = main()
    if cancellable.is_unfinished():  # a step of the network that nobody waits for
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stream.flush()
        os._exit(code)
    sys.exit(code)
