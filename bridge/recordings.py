"""The recordings of a folder: the file that a collection writes, or the table made from it."""

from __future__ import annotations

from pathlib import Path

from mirr.bridge.recording import Recordings
from mirr.bridge.recording_file import FILE_NAME, RecordingFile, read_file, write_file
from mirr.bridge.recording_table import TABLE_NAME, read_table
from mirr.env.record import RecordError

LAB_FOLDER, SIM_FOLDER = Path("recordings/lab"), Path("recordings/sim")
"""Where the recordings of each world are, if nobody says so."""


def read_recordings(folder: Path) -> Recordings:
    """The recordings in a folder, or in a table itself. Raises RecordError.

    The file of a folder comes first if it has a play, because the table is made from it."""
    file, table = folder / FILE_NAME, folder / TABLE_NAME
    if folder.suffix == Path(TABLE_NAME).suffix and folder.is_file():
        found = read_table(folder)
    elif file.is_file() and (read_file(file).by_key or not table.is_file()):
        found = read_file(file)
    elif table.is_file():
        found = read_table(table)
    else:
        raise RecordError(f"{folder} has neither {FILE_NAME} nor {TABLE_NAME}; next: mirr collect --out {folder}")
    if not found.by_key:
        raise RecordError(f"{folder} has no play that is over; next: mirr collect --out {folder}")
    return found


def open_file(folder: Path) -> RecordingFile:
    """The file of a folder, to add to. If it is missing or has no play, it is made from the table.

    Raises RecordError."""
    file, table = folder / FILE_NAME, folder / TABLE_NAME
    if table.exists() and not (file.exists() and read_file(file).by_key):
        write_file(read_table(table), folder)
    return RecordingFile(folder)
