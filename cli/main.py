"""`mirr`: the command line, and what becomes of errors that are expected."""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence

import typer
from typer.exceptions import TyperException

from mirr.chaos.errors import ChaosError
from mirr.cli import (
    bench_command,
    chaos_commands,
    episode_commands,
    lab_commands,
    lifecycle_command,
    mcp_command,
    openenv_command,
    records_command,
)
from mirr.env.record import RecordError
from mirr.env.scenario import BadScenario
from mirr.env.vocabulary import UnknownName
from mirr.env.world import WorldError
from mirr.lab.errors import BadLabName, LabError

WRONG_USAGE, WORLD_FAILED, INTERRUPTED = 2, 3, 130

app = typer.Typer(
    name="mirr",
    help="Break one of five services, and let an agent repair it: on a simulator, or on real containers.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
lab_commands.register(app)
chaos_commands.register(app)
episode_commands.register(app)
lifecycle_command.register(app)
bench_command.register(app)
openenv_command.register(app)
records_command.register(app)
mcp_command.register(app)


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit code is 0 done, 1 bad news, 2 wrong usage, 3 the world failed."""
    try:
        code = app(arguments, standalone_mode=False)
    except TyperException as error:
        return _told(_first_line(error), getattr(error, "exit_code", WRONG_USAGE))
    except (UnknownName, BadScenario, BadLabName, RecordError) as error:
        return _told(str(error), WRONG_USAGE)
    except (LabError, WorldError, ChaosError) as error:
        return _told(str(error), WORLD_FAILED)
    except (KeyboardInterrupt, typer.Abort):
        return _told("interrupted; what is half done is reverted by the next mirr command", INTERRUPTED)
    return code if isinstance(code, int) else 0


def _first_line(error: TyperException) -> str:
    text = error.format_message() if hasattr(error, "format_message") else str(error)
    return f"{text.strip()} See: mirr --help"


def _told(message: str, code: int) -> int:
    if message:
        print(f"mirr: {message}", file=sys.stderr)
    return code


def main() -> None:
    """The entry point."""
    # To be told to end is as good a reason to put everything back as Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.exit(run())
