"""The file of fitted parameters: the system and the machine apart, with where they come from."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mirr.bridge.calibration.calibrating import Calibration
from mirr.bridge.calibration.errors import CalibrationError
from mirr.bridge.calibration.machine import parse_machine
from mirr.bridge.calibration.splits import HELD_OUT_SERVICE, HELD_OUT_SEVERITY_FROM, Split
from mirr.bridge.recording import Recordings
from mirr.bridge.recording_json import session_json
from mirr.bridge.whole_file import write_whole
from mirr.env.checks import each_name_once
from mirr.env.simulator.parameters import ParameterError, Parameters, parse_parameters

SCHEMA, SCHEMA_VERSION = "mirr-calibration", 2
FILE_NAME = "calibration.json"
FITTED_PROFILE = "fitted"
"""The name of the profile of parameters that are read from such a file."""


def beside(recordings: Path) -> Path:
    """Where the fit to these recordings is, if nobody says so: in their folder, or beside their table."""
    return (recordings.parent if recordings.suffix else recordings) / FILE_NAME


@dataclass(frozen=True, kw_only=True)
class FittedParameters:
    """What a simulator needs of the file, and which plays the fit has not seen."""

    parameters: Parameters
    held_out: frozenset[str]  # keys of plays


def calibration_json(found: Calibration, lab: Recordings, version: str) -> dict[str, Any]:
    """Everything, as the file has it. `version` is that of mirr."""
    return {
        "schema": SCHEMA,
        "version": SCHEMA_VERSION,
        "system": asdict(found.system),
        "machine": asdict(found.machine),
        "fitted": {name: asdict(one) for name, one in found.fitted.items()},
        "ranges": {
            name: {"between": [one.low, one.high]}
            for name, one in found.fitted.items()
            if one.low is not None and one.high is not None
        },
        "loss": losses_json(found),
        "provenance": {
            "made": datetime.now(UTC).isoformat(timespec="seconds"),
            "mirr": version,
            "settings": asdict(found.settings),
            "evaluations": found.evaluations,
            "world": lab.world,
            "sessions": [session_json(session) for session in lab.sessions],
            "held_out_service": HELD_OUT_SERVICE,
            "held_out_severity_from": round(HELD_OUT_SEVERITY_FROM, 6),
            "plays": {str(split): list(keys) for split, keys in found.plays.items()},
        },
    }


def losses_json(found: Calibration) -> dict[str, Any]:
    """The losses of both splits, and the held-out one as a multiple of the other."""
    training, held_out = (found.losses[split].tuned for split in (Split.TRAINING, Split.HELD_OUT))
    return {
        **{str(split): asdict(losses) for split, losses in found.losses.items()},
        "held_out_over_training": None if held_out is None or not training else held_out / training,
    }


def write_calibration(path: Path, answer: dict[str, Any]) -> None:
    """Write the file. Raises CalibrationError."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, json.dumps(answer, indent=2, allow_nan=False) + "\n")
    except OSError as error:
        raise CalibrationError(f"cannot write {path}: {error.strerror}; next: another --out FILE") from error


def is_calibration(path: Path) -> bool:
    """Whether the file says that it is one of these, of any version. If it cannot be read, it does not say so."""
    try:
        raw = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(raw, dict) and raw.get("schema") == SCHEMA


def read_calibration(path: Path) -> FittedParameters:
    """The parameters in a file. Raises CalibrationError."""
    try:
        raw = json.loads(path.read_text(encoding="utf-8-sig"), object_pairs_hook=each_name_once)
    except OSError as error:
        raise CalibrationError(f"cannot read {path}: {error.strerror}; next: mirr calibrate --out {path}") from error
    except RecursionError:
        # Without the cause: its traceback has a thousand lines.
        raise CalibrationError(f"{path} is nested too deeply; next: mirr calibrate --out {path}") from None
    except ValueError as error:
        raise CalibrationError(f"{path} is not JSON: {error}; next: mirr calibrate --out {path}") from error
    if not isinstance(raw, dict) or (raw.get("schema"), raw.get("version")) != (SCHEMA, SCHEMA_VERSION):
        raise CalibrationError(f"{path} is no {SCHEMA} {SCHEMA_VERSION}; next: mirr calibrate --out {path}")
    try:
        parameters = parse_machine(raw["machine"]).applied(parse_parameters(raw["system"]))
        held_out = frozenset(map(str, raw["provenance"]["plays"][Split.HELD_OUT]))
    except (ParameterError, CalibrationError, KeyError, TypeError) as error:
        raise CalibrationError(f"{path}: {error}; next: mirr calibrate --out {path}") from error
    return FittedParameters(parameters=parameters, held_out=held_out)
