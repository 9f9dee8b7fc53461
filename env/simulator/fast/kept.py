"""Where compiled code is kept for later processes, in files that are used only if they are whole.

There may be no writable home, no writable installation, and no disk left. Then the code is kept elsewhere or not at
all, and one line says so.
"""

from __future__ import annotations

import hashlib
import logging
import os
import stat
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

SUFFIX: Final = ".kept"
REMEDY: Final = (
    "next: set NUMBA_CACHE_DIR to a folder that can be written, or MIRR_COMPILED=0 to play uncompiled, slowly"
)
_PROBE_BYTES: Final = 4096  # a full disk still makes empty files

_logger = logging.getLogger("mirr")  # without handlers, Python prints its warnings to stderr


def say(text: str) -> None:
    """Tell the user. A program that uses the package can silence the logger `mirr`."""
    _logger.warning("mirr: %s", text)


def choose_folder(name: str, beside: Path, tell: Callable[[str], None] = say) -> Path | None:
    """The folder `name` in the first place that can be used; None if there is none.

    A place that cannot be written is still used if it holds compiled code already, as in a read-only image.
    """
    chosen = os.environ.get("NUMBA_CACHE_DIR")
    wanted = _absolute(chosen) if chosen else None
    places = [*([wanted] if wanted else []), beside, *_cache_home()]
    for place in places:
        if _usable(place / name):
            if chosen and place != wanted:
                tell(f"NUMBA_CACHE_DIR={chosen} cannot be written, so compiled code is kept in {place}")
            return place / name
    listed = ", ".join(map(str, places))
    for place in _temporary():
        if _usable(place / name):
            tell(f"compiled code is kept in {place}, as these cannot be written: {listed}; {REMEDY}")
            return place / name
    tell(
        "compiled code cannot be kept, so every process compiles anew, for up to a minute, as these cannot be "
        f"written: {listed}; {REMEDY}"
    )
    return None


def _absolute(path: str) -> Path | None:
    try:
        return Path(path).absolute()
    except OSError:
        return None  # it is relative, and somebody removed the working directory


def _cache_home() -> Iterator[Path]:
    named = Path(os.environ.get("XDG_CACHE_HOME", ""))
    if named.is_absolute():  # the standard says to ignore others
        yield named / "mirr-lab"
        return
    # A user without an entry in the system's list has no home.
    with suppress(RuntimeError):
        yield Path.home() / ".cache" / "mirr-lab"


def _temporary() -> Iterator[Path]:
    """A folder in the system's temporary folder, if nobody else can write there: the files are code that we run."""
    try:
        place = Path(tempfile.gettempdir()) / f"mirr-lab-{os.getuid()}"
        with suppress(FileExistsError):
            place.mkdir(mode=0o700)
        found = place.lstat()
    except OSError:
        return
    if stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & 0o022:
        yield place


def _usable(folder: Path) -> bool:
    return holds_code(folder) or _writable(folder)


def _writable(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as probe:
            probe.write(b"\0" * _PROBE_BYTES)
            probe.flush()
    except OSError:
        return False
    return True


def holds_code(folder: Path) -> bool:
    """Whether the folder holds a whole file of compiled code."""
    try:
        return any(SealedFile(path).read() is not None for path in sorted(folder.glob(f"*{SUFFIX}")))
    except OSError:
        return False


class SealedFile:
    """A file that begins with the hash of the rest. A damaged or half-written one is as good as none."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> bytes | None:
        """What was written last; None if that is not there, damaged, or not to be read."""
        try:
            content = self.path.read_bytes()
        except OSError:
            return None
        seal, body = content[: hashlib.sha256().digest_size], content[hashlib.sha256().digest_size :]
        return body if seal == hashlib.sha256(body).digest() else None

    def write(self, body: bytes) -> None:
        """Replace the file as a whole. Other processes see the old one or the new one. Raises OSError."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        draft = self.path.with_name(f"{self.path.name}.{uuid.uuid4().hex[:8]}.tmp")
        try:
            draft.write_bytes(hashlib.sha256(body).digest() + body)
            draft.replace(self.path)
        finally:
            draft.unlink(missing_ok=True)
