"""Writes a file whole or not at all: no reader finds half of it, and a full disk leaves what was there before."""

from __future__ import annotations

from pathlib import Path


def write_whole(path: Path, text: str) -> None:
    """Replace the file by one with this text. Raises OSError, and then the file is as it was."""
    begun = path.with_name(f"{path.name}.part")
    try:
        begun.write_text(text, encoding="utf-8")
        begun.replace(path)
    except OSError:
        if begun.is_file():
            begun.unlink()
        raise
