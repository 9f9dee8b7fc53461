"""The reaper of one lab: a small process that reverts a fault when its lease is over.

It does so even if the process that injected the fault was killed. It runs as
`python -m mirr.chaos.reaper LAB FOLDER`. A lab has one; the process that injects starts it.

While it only watches the journal, it needs nothing of the engine. It imports the code that talks to the engine when a
lease is about to end. That takes a second or more, which the fault would otherwise last longer.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mirr.chaos.errors import ChaosError, JournalError
from mirr.chaos.journal import Journal
from mirr.chaos.turns import turn

LOCK_FILE = "reaper.lock"
LOG_FILE = "reaper.log"

_started: list[subprocess.Popen[bytes]] = []  # our children; we have to wait for each one after it ended


@dataclass(frozen=True, kw_only=True)
class Rhythm:
    """How often a reaper looks, and when it leaves. The defaults are the lab's."""

    poll_s: float = 0.5
    prepare_s: float = 3.0  # it gets ready this long before a lease ends; a living process renews its lease earlier
    idle_s: float = 30.0  # it leaves after this long with nothing open
    retry_s: float = 2.0  # the wait after a revert that failed; doubled after each further failure
    longest_retry_s: float = 30.0
    give_up_s: float = 600.0  # it leaves after failing for this long; the next command reverts then


def ensure(lab: str, folder: Path) -> None:
    """Make sure that a reaper runs. Write the journal first: a reaper that is leaving looks there once more.

    Raises ChaosError."""
    _started[:] = [child for child in _started if child.poll() is None]
    from mirr.lab.installation import HERE  # imported here, because the reaper itself does not need it

    with turn(folder / LOCK_FILE, timeout_s=0) as nobody_watches:
        if not nobody_watches:
            return
    try:
        with (folder / LOG_FILE).open("ab") as log:
            child = subprocess.Popen(
                HERE.python("mirr.chaos.reaper", lab, str(folder.absolute())),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",  # so that it does not keep a folder in use
                env=HERE.python_environment(),
                start_new_session=True,  # so that Ctrl-C, or another end of its parent, does not end it
            )
    except OSError as error:
        raise ChaosError(
            f"the reaper, which reverts the fault in time, could not be started ({error.strerror}); next: mirr revert"
        ) from error
    _started.append(child)


def _nothing() -> None:
    return


def watch(
    journal: Journal,
    revert: Callable[[], list[str]],
    *,
    rhythm: Rhythm,
    prepare: Callable[[], None] = _nothing,
    now: Callable[[], float] = time.time,
    sleep: Callable[[float], None] = time.sleep,
    say: Callable[[str], None] = print,
) -> None:
    """Revert what has outlived its lease. Return when nothing was open for a while, or when the lab is gone.

    `prepare` is called before leases end, perhaps more than once.
    """
    seen_open = now()
    failing_since: float | None = None
    retry_s = rhythm.retry_s
    while journal.folder.is_dir():
        dues = _dues(journal, say)
        seen_open = now() if dues else seen_open
        if now() - seen_open >= rhythm.idle_s:
            return
        if any(due <= now() + rhythm.prepare_s for due in dues):
            prepare()
        if not any(due <= now() for due in dues):
            sleep(rhythm.poll_s)
            continue
        try:
            say(f"a fault has outlived its time: {'; '.join(revert()) or 'nothing to revert'}")
            failing_since, retry_s = None, rhythm.retry_s
        except ChaosError as error:
            say(f"could not revert everything, next try in {retry_s:g} s: {error}")
            failing_since = now() if failing_since is None else failing_since
            if now() - failing_since >= rhythm.give_up_s:
                return
            sleep(retry_s)
            retry_s = min(2 * retry_s, rhythm.longest_retry_s)


def _dues(journal: Journal, say: Callable[[str], None]) -> list[float]:
    try:
        return [act.until for act in journal.open_acts()]
    except JournalError as error:
        say(str(error))
        return []


def _prepare() -> None:
    """Import what `_revert` needs. After the first time, this does nothing."""
    import mirr.chaos.open_reverter
    import mirr.lab.engine
    import mirr.lab.engine_lock
    import mirr.lab.lock  # noqa: F401  (the imports are all that is wanted)


def _revert(lab: str, journal: Journal) -> list[str]:
    """Revert what has outlived its lease, with a new connection to the engine. Raises ChaosError."""
    from docker.errors import DockerException
    from requests.exceptions import RequestException

    from mirr.chaos.open_reverter import open_reverter
    from mirr.lab.engine import connect
    from mirr.lab.errors import LabError
    from mirr.lab.lock import holder_elsewhere, holder_in_engine
    from mirr.lab.refusals import in_words

    root = journal.folder.parents[1]  # a state folder has the folders of its labs in `labs`
    holder = holder_elsewhere(lab, root)
    try:
        client = None if holder is not None else connect()
        if client is not None:
            holder = holder_in_engine(client, lab, root)
        if client is None or holder is not None:
            # It reverted everything when it began. Whatever is broken now is a part of its work, and not of our
            # journal.
            raise ChaosError(f"lab {lab} is in use by {holder}, with another state folder (MIRR_STATE_DIR)")
        return open_reverter(client, lab, journal).revert_expired()
    except LabError as error:
        raise ChaosError(str(error)) from error
    except (DockerException, RequestException) as error:
        raise ChaosError(in_words(error)) from error


def _say(text: str) -> None:
    print(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {text}", flush=True)


def main(arguments: list[str]) -> None:
    """Watch over LAB, whose journal is in FOLDER, unless another reaper does."""
    lab, folder = arguments[0], Path(arguments[1])
    journal = Journal(folder)
    while True:
        with turn(folder / LOCK_FILE, timeout_s=0) as alone:
            if not alone:
                return
            watch(journal, lambda: _revert(lab, journal), rhythm=Rhythm(), prepare=_prepare, say=_say)
        # Somebody who injected while we were leaving saw the lock held, and so started no reaper.
        if not folder.is_dir() or not _dues(journal, _say):
            return


if __name__ == "__main__":
    # The journal names faults, and the form of a fault is a module of the simulator. It is not played on here.
    os.environ.setdefault("MIRR_COMPILED", "0")
    main(sys.argv[1:])
