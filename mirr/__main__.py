"""The entry point of the command `mirr`, and of `python -m mirr`.

The command line takes up to a second to import, and longer on a slow disk. So this module imports almost nothing before
Ctrl-C has an answer.
"""

from __future__ import annotations

import os
import signal
import sys

INTERRUPTED = 130


def main() -> None:
    """Run the command line. Ctrl-C during the imports ends the process at once: nothing has been done yet."""
    # Python has no handler of its own if SIGINT is ignored, as under `nohup` and in the background of a script.
    answers = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if answers:
        signal.signal(signal.SIGINT, _end_at_once)
    from mirr.cli.main import main as command

    if answers:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        command()
    except KeyboardInterrupt:  # before the command began, or after it had said how it ended
        sys.exit(INTERRUPTED)


def _end_at_once(*_: object) -> None:
    # An exception would not do: extension modules that are being imported turn it into an ImportError.
    try:
        os.write(2, b"mirr: interrupted\n")
    finally:
        os._exit(INTERRUPTED)


if __name__ == "__main__":
    main()
