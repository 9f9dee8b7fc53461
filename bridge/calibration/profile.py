"""The profile of this machine, in the state folder, and the parameters of the machine that a command asks for."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from mirr.bridge.calibration.errors import CalibrationError
from mirr.bridge.calibration.machine import Machine, parse_machine
from mirr.bridge.calibration.machine_names import MachineName
from mirr.bridge.whole_file import write_whole
from mirr.env.simulator.parameters import ParameterError, Parameters
from mirr.env.simulator.randomisation import default_parameters
from mirr.lab.installation import HERE
from mirr.lab.state import state_root, unwritable

SCHEMA, SCHEMA_VERSION = "mirr-machine", 2
ONE_SPEED_VERSION = 1  # all services were as much faster, or slower
FILE_NAME = "machine.json"


def profile_path() -> Path:
    """Where this machine's profile is, or would be. Raises StateError."""
    return state_root() / FILE_NAME


def write_profile(machine: Machine, facts: Mapping[str, object]) -> Path:
    """Keep the profile of this machine. `facts` say how it was measured. Raises StateError."""
    path = profile_path()
    content = {"schema": SCHEMA, "version": SCHEMA_VERSION, "machine": asdict(machine), "facts": dict(facts)}
    try:
        write_whole(path, json.dumps(content, indent=2, allow_nan=False) + "\n")
    except OSError as error:
        raise unwritable(path, error) from error
    return path


def read_profile() -> Machine | None:
    """This machine's profile; None if it was not measured. Raises CalibrationError or StateError."""
    path = profile_path()
    next_step = _next_step()
    try:
        raw = json.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        return None
    except RecursionError:
        # Without the cause: its traceback has a thousand lines.
        raise CalibrationError(f"{path} is nested too deeply; {next_step}") from None
    except (OSError, ValueError) as error:
        raise CalibrationError(f"cannot read this machine's profile {path}: {error}; {next_step}") from error
    if isinstance(raw, dict) and (raw.get("schema"), raw.get("version")) == (SCHEMA, ONE_SPEED_VERSION):
        raise CalibrationError(f"{path} is of an earlier version, with one speed for all services; {next_step}")
    if not isinstance(raw, dict) or (raw.get("schema"), raw.get("version")) != (SCHEMA, SCHEMA_VERSION):
        raise CalibrationError(f"{path} is no {SCHEMA} {SCHEMA_VERSION}; {next_step}")
    try:
        return parse_machine(raw.get("machine"))
    except CalibrationError as error:
        raise CalibrationError(f"{path}: {error}; {next_step}") from error


def parameters_of(name: MachineName) -> Parameters:
    """The simulator's parameters on that machine. Raises CalibrationError if this one was never measured."""
    if name is MachineName.REFERENCE:
        return default_parameters()
    machine = read_profile()
    if machine is None:
        raise CalibrationError(
            "this machine has no profile yet; next, with the lab up: " + HERE.command("calibrate --quick")
        )
    try:
        return machine.applied(default_parameters())
    except ParameterError as error:
        raise CalibrationError(
            f"{profile_path()}: the simulator cannot run with it: {error}; {_next_step()}"
        ) from error


def _next_step() -> str:
    return f"next: {HERE.command('calibrate --quick')}"
