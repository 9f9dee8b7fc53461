"""A comparison as JSON and as a page, beside each other in a folder."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

from mirr.bridge.fidelity.compare import Fidelity
from mirr.bridge.fidelity.distrust import distrusted
from mirr.bridge.fidelity.page import page
from mirr.bridge.fidelity.targets import TARGETS
from mirr.bridge.recording import Recordings
from mirr.bridge.recording_json import session_json
from mirr.bridge.whole_file import write_whole
from mirr.env.record import RecordError

PAGE_NAME, JSON_NAME = "fidelity.html", "fidelity.json"


@dataclass(frozen=True, kw_only=True)
class Written:
    """The files of a report."""

    page: Path
    data: Path


def to_json(fidelity: Fidelity) -> dict[str, Any]:
    """Everything that was measured, as `mirr fidelity --json` prints it."""
    figures, verdicts = fidelity.figures, fidelity.verdicts
    return {
        "lab": _source(fidelity.lab),
        "sim": _source(fidelity.sim),
        "pairs": len(fidelity.pairs),
        "pairs_of_the_lab_itself": len(fidelity.itself),
        "targets": [
            {
                "level": target.level,
                "measure": measure,
                "says": target.says,
                "target": target.text() or None,
                **figures[measure].to_json(),
                "verdict": verdicts[measure],
            }
            for measure, target in TARGETS.items()
        ],
        "ratio_of": {form: round(ratio, 6) for form, ratio in sorted(fidelity.signal.ratio_of.items())},
        "auc_of": {str(feature): figure.to_json() for feature, figure in fidelity.signal.auc_of.items()},
        "cells": [
            {
                "form": cell.form,
                "role": cell.role,
                "metric": cell.metric,
                "wasserstein": round(one.wasserstein, 6),
                "kolmogorov_smirnov": round(one.kolmogorov_smirnov, 6),
                "lab_itself": None if one.itself is None else round(one.itself, 6),
            }
            for cell, one in sorted(fidelity.signal.cells.items())
        ],
        "outcomes": [
            {
                "form": deed.form,
                "action": deed.action,
                "role": deed.role or None,
                "lab": {str(one): number for one, number in sorted(cell.reference.items())},
                "sim": {str(one): number for one, number in sorted(cell.other.items())},
                "different": cell.different,
            }
            for deed, cell in sorted(fidelity.transitions.grid.items())
        ],
        "policies": [
            {"policy": one.policy, "lab": round(one.real, 6), "sim": round(one.sim, 6), "scenarios": one.scenarios}
            for one in fidelity.policies.points
        ],
        "distrust": distrusted(fidelity),
    }


def _source(recordings: Recordings) -> dict[str, Any]:
    return {
        "world": recordings.world,
        "plays": len(recordings.by_key),
        "void": recordings.void,
        "hours": round(sum(one.seconds for one in recordings.by_key.values()) / 3600.0, 3),
        "sessions": [session_json(session) for session in recordings.sessions],
    }


def prepare_folder(folder: Path) -> None:
    """Make the folder of a report, before the work that it shall show. Raises RecordError."""
    with _named(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=folder):
            pass  # a file can be written there


def write_report(fidelity: Fidelity, folder: Path) -> Written:
    """Write both files into a folder that is there. Raises RecordError if they cannot be written."""
    written = Written(page=folder / PAGE_NAME, data=folder / JSON_NAME)
    with _named(folder):
        write_whole(written.data, json.dumps(to_json(fidelity), indent=2) + "\n")
        write_whole(written.page, page(fidelity))
    return written


@contextmanager
def _named(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise RecordError(f"cannot write the report {folder}: {error.strerror}; next: another --report DIR") from error
