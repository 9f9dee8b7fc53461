"""The file that a collection writes while it runs: JSON lines, of which only whole ones count.

A line is a session (one run of `mirr collect`), a play that is over, or a play during which the world failed. A line is
on disk before the next play begins, and no line is ever changed. So a run that was killed loses one play at most.
"""

from __future__ import annotations

import fcntl
import json
import os
from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from mirr.bridge.recording import Play, Recording, Recordings, Session
from mirr.bridge.recording_json import (
    DAMAGED,
    Json,
    parse_recording,
    parse_session,
    play_json,
    recording_json,
    session_json,
)
from mirr.bridge.whole_file import write_whole
from mirr.env.record import RecordError

SCHEMA = "mirr-recordings"
SCHEMA_VERSION = 1

FILE_NAME = "recordings.jsonl"

SAME_IN_ALL_SESSIONS = ("pace", "profile", "parameters")
"""The facts in which all sessions of a folder agree. They decide what a play means."""


class LineKind(StrEnum):
    """The kinds of lines."""

    SESSION = "session"
    PLAY = "play"
    VOID = "void"


class RecordingFile:
    """The open file of a folder. Raises RecordError if it cannot be read or written, or if another run has it open."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE_NAME
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._file: IO[bytes] = self._path.open("ab")
        except OSError as error:
            raise self._refusal(error) from error
        try:
            self._take()
            self.recordings = read_file(self._path)
            self._file.truncate(_whole_bytes(self._path))  # what a killed run wrote last may be half a line
        except OSError as error:
            self._file.close()
            raise self._refusal(error) from error
        except RecordError:
            self._file.close()
            raise
        self.session = -1

    def _take(self) -> None:
        """Let no other run write to the file until this one closes it or dies."""
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RecordError(
                f"another mirr collect is writing {self._path}; next: wait until it is over, or another --out DIR"
            ) from None

    def begin(self, session: Session) -> None:
        """Begin a session. Raises RecordError if the folder has recordings of something else."""
        for earlier in self.recordings.sessions:
            _check_alike(self._path, earlier, session)
        self.session = len(self.recordings.sessions)
        self._write(_session_line(session))

    def add(self, recording: Recording) -> None:
        """Write a play that is over."""
        self._write(_play_line(recording))

    def add_void(self, play: Play, reason: str) -> None:
        """Write that the world failed during a play. It will be played again."""
        self._write({"kind": LineKind.VOID, "play": play_json(play), "session": self.session, "reason": reason})

    def _write(self, line: Json) -> None:
        try:
            self._file.write(json.dumps(line, allow_nan=False).encode() + b"\n")
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as error:
            raise self._refusal(error) from error

    def _refusal(self, error: OSError) -> RecordError:
        return RecordError(f"cannot write the recordings {self._path}: {error.strerror}; next: another --out DIR")

    def close(self) -> None:
        """Close the file. Raises RecordError if its end cannot be written."""
        try:
            self._file.close()
        except OSError as error:
            raise self._refusal(error) from error

    def __enter__(self) -> RecordingFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.close()
            return
        with suppress(RecordError):  # the first error says what is wrong
            self.close()


def write_file(recordings: Recordings, folder: Path) -> Path:
    """Write the file of a folder that has none, whole or not at all, and return its path. Raises RecordError.

    Of plays that were void, only their number is known."""
    path = folder / FILE_NAME
    lines = [_session_line(session) for session in recordings.sessions]
    lines += [_play_line(recording) for recording in recordings.by_key.values()]
    lines += [{"kind": LineKind.VOID}] * recordings.void
    try:
        write_whole(path, "".join(json.dumps(line, allow_nan=False) + "\n" for line in lines))
    except OSError as error:
        raise RecordError(f"cannot write the recordings {path}: {error.strerror}; next: another --out DIR") from error
    return path


def _session_line(session: Session) -> Json:
    return {"kind": LineKind.SESSION, "schema": SCHEMA, "version": SCHEMA_VERSION} | session_json(session)


def _play_line(recording: Recording) -> Json:
    return {"kind": LineKind.PLAY} | recording_json(recording)


def _whole_bytes(path: Path) -> int:
    """How many bytes of a file belong to whole lines."""
    return path.read_bytes().rfind(b"\n") + 1


def _check_alike(path: Path, earlier: Session, now: Session) -> None:
    """Raises RecordError unless both sessions record the same thing."""
    if earlier.world != now.world:
        raise RecordError(
            f"{path} holds recordings of {earlier.world}, and not of {now.world}; next: another --out DIR"
        )
    for name in SAME_IN_ALL_SESSIONS:
        if earlier.facts.get(name) != now.facts.get(name):
            raise RecordError(f"{path} was recorded with another {name}; next: another --out DIR")


def read_file(path: Path) -> Recordings:
    """The recordings in a file. A half line at its end is left out. Raises RecordError."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise RecordError(f"cannot read the recordings {path}: {error.strerror}") from error
    sessions: list[Session] = []
    by_key: dict[str, Recording] = {}
    void = 0
    for number, line in enumerate(content[: content.rfind(b"\n") + 1].splitlines(), start=1):
        try:
            raw: Any = json.loads(line)
            match LineKind(raw["kind"]):
                case LineKind.SESSION:
                    _check_version(path, raw)
                    sessions.append(parse_session(raw))
                case LineKind.PLAY:
                    recording = parse_recording(raw)
                    by_key[recording.play.key] = recording
                case LineKind.VOID:
                    void += 1
        except RecordError:
            raise
        except RecursionError:
            # Without the cause: its traceback has a thousand lines.
            raise RecordError(f"{path}, line {number}: not a line of recordings (nested too deeply)") from None
        except DAMAGED as error:
            raise RecordError(f"{path}, line {number}: not a line of recordings ({error})") from error
    return Recordings(sessions=tuple(sessions), by_key=by_key, void=void)


def _check_version(path: Path, raw: Json) -> None:
    if (raw.get("schema"), raw.get("version")) != (SCHEMA, SCHEMA_VERSION):
        raise RecordError(
            f"{path} has schema {raw.get('schema')} {raw.get('version')}; this reads {SCHEMA} {SCHEMA_VERSION}"
        )
