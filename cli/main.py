"""`mirr`: the command line, and how expected errors are reported."""

from __future__ import annotations

import errno
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Annotated, Any

import typer
from typer.core import TyperGroup
from typer.exceptions import TyperException

from mirr import __version__
from mirr.agents.llm.settings import BadSettings
from mirr.agents.weights import BadCheckpoint
from mirr.bridge.calibration.errors import CalibrationError
from mirr.chaos.errors import ChaosError
from mirr.cli import (
    bench_command,
    calibrate_command,
    chaos_commands,
    collect_command,
    episode_commands,
    fidelity_command,
    lab_commands,
    lifecycle_command,
    mcp_command,
    openenv_command,
    postmortem_command,
    records_command,
    results_command,
    rollouts_command,
    room_command,
    train_command,
    train_llm_command,
)
from mirr.cli.interrupts import notes_of
from mirr.cli.options import Chosen
from mirr.env.quoting import shortened
from mirr.env.record import RecordError
from mirr.env.scenario import BadScenario
from mirr.env.vocabulary import BadSeverity, UnknownName
from mirr.env.world import WorldError
from mirr.lab.errors import BadLabName, BadPort, LabError
from mirr.lab.hints import for_lab

WRONG_USAGE, WORLD_FAILED, INTERRUPTED = 2, 3, 130

LONGEST_LINE = 4000  # characters of an error: a name of a file that exists fits, and what a lab lists too
LONGEST_USAGE = 400

NEVER_SIMULATE = frozenset({"doctor", "up", "down", "logs", "status", "inject", "revert"})
"""The commands that work on a lab and on nothing else. They name faults, and the form of a fault is a module of the
simulator. But they do not play on it, and numba takes longer to import than everything else that they need."""

_UNWRITABLE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EPIPE, errno.EIO})  # EIO: the terminal is gone


class ReaderGone(Exception):
    """The reader of a pipe has seen enough, as `| head` has."""


@contextmanager
def _not_ended_by_typer() -> Iterator[None]:
    # Newer versions of typer end without a word after Ctrl-C, and with 1 if a pipe has no reader.
    try:
        yield
    except KeyboardInterrupt as error:
        raise typer.Abort from error
    except BrokenPipeError as error:
        raise ReaderGone from error


class _Commands(TyperGroup):
    """Leaves it to `run` to say how a command ended."""

    def make_context(self, *args: Any, **options: Any) -> Any:
        with _not_ended_by_typer():
            return super().make_context(*args, **options)

    def invoke(self, ctx: Any) -> Any:
        with _not_ended_by_typer():
            return super().invoke(ctx)


app = typer.Typer(
    name="mirr",
    cls=_Commands,
    help="Break one of five services, and let an agent fix it: on a simulator, or on real containers.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"mirr {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool,
        typer.Option("--version", help="Print the version and exit.", callback=_print_version, is_eager=True),
    ] = False,
) -> None:
    """Break one of five services, and let an agent fix it: on a simulator, or on real containers."""


lab_commands.register(app)
chaos_commands.register(app)
episode_commands.register(app)
lifecycle_command.register(app)
collect_command.register(app)
fidelity_command.register(app)
calibrate_command.register(app)
bench_command.register(app)
openenv_command.register(app)
records_command.register(app)
postmortem_command.register(app)
results_command.register(app)
mcp_command.register(app)
train_command.register(app)
train_llm_command.register(app)
rollouts_command.register(app)
room_command.register(app)


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command. Exit codes: 0 done, 1 bad news, 2 wrong usage, 3 the world failed, 130 interrupted."""
    chosen = Chosen()
    try:
        code = app(arguments, standalone_mode=False, obj=chosen)
    except TyperException as error:
        return _failed(_first_line(error), getattr(error, "exit_code", WRONG_USAGE))
    except (
        UnknownName,
        BadSeverity,
        BadScenario,
        BadLabName,
        BadPort,
        RecordError,
        BadCheckpoint,
        BadSettings,
        CalibrationError,
    ) as error:
        return _failed(str(error), WRONG_USAGE)
    except (LabError, WorldError, ChaosError) as error:
        return _failed(for_lab(str(error), chosen.lab), WORLD_FAILED)
    except ReaderGone as error:
        raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE)) from error
    except (KeyboardInterrupt, typer.Abort) as error:
        interrupt = error if isinstance(error, KeyboardInterrupt) else error.__cause__
        return _failed(for_lab("; ".join(["interrupted", *notes_of(interrupt)]), chosen.lab), INTERRUPTED)
    return code if isinstance(code, int) else 0


def _first_line(error: TyperException) -> str:
    text = error.format_message() if hasattr(error, "format_message") else str(error)
    return f"{shortened(text.strip(), LONGEST_USAGE)} See: mirr --help"


def _failed(message: str, code: int) -> int:
    if message:
        from mirr.env.rendering import printable

        # A message may quote what a user or a container wrote.
        lines = [shortened(printable(line), LONGEST_LINE) for line in message.split("\n")]
        with suppress(OSError):  # the exit code still tells
            print("\n".join([f"mirr: {lines[0]}", *lines[1:]]), file=sys.stderr)
    return code


def _open_closed_streams() -> None:
    """A command may be started without stdout or stderr. What it says there goes nowhere."""
    if sys.stdout is None:
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - until the process ends
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - until the process ends


def main() -> None:
    """The entry point."""
    # SIGTERM is treated as Ctrl-C is: everything is reverted before the process ends.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    # So is the end of the terminal, unless `nohup` has it ignored.
    if sys.platform != "win32" and signal.getsignal(signal.SIGHUP) is signal.SIG_DFL:
        signal.signal(signal.SIGHUP, signal.default_int_handler)
    _open_closed_streams()
    if sys.argv[1:2] and sys.argv[1] in NEVER_SIMULATE:
        os.environ.setdefault("MIRR_COMPILED", "0")  # for the reaper too, which such a command may start
    code = 0
    try:
        code = run()
        if not sys.stdout.closed:  # an MCP server closes it when its client is gone
            sys.stdout.flush()
    except OSError as error:
        if error.errno not in _UNWRITABLE:
            raise
        # Python would try again at exit, and complain in its own words.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if error.errno != errno.EPIPE:  # the reader of a pipe has seen enough, as `| head` has
            code = _failed(f"cannot write {error.filename or 'the answer'}: {error.strerror}", WORLD_FAILED)
    sys.exit(code)
