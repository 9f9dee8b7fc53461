"""Chooses the world. This is the only place that does; everything else is given a world."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import assert_never

import typer

from mirr.bridge.calibration.machine_names import MachineName, parse_machine_name
from mirr.cli.interrupts import works_on_a_lab
from mirr.env.quoting import quoted
from mirr.env.vocabulary import UnknownName
from mirr.env.world import World

COMPILING = "compiling the simulator, once for this version: up to a minute; MIRR_COMPILED=0 plays without that, slowly"


class WorldName(StrEnum):
    """The worlds in which an episode can be played."""

    SIM = "sim"
    DOCKER = "docker"


def parse_world(name: str) -> WorldName:
    """The world of that name. Raises UnknownName."""
    try:
        return WorldName(name)
    except ValueError as error:
        raise UnknownName(f"unknown world {quoted(name)}; one of: {', '.join(WorldName)}") from error


def chosen_machine(name: str, world: WorldName) -> MachineName:
    """The machine of that name, for the simulator. Raises UnknownName, or typer.BadParameter for a lab."""
    machine = parse_machine_name(name)
    if world is WorldName.DOCKER and machine is not MachineName.REFERENCE:
        raise typer.BadParameter(
            f"--machine {machine} is a choice of the simulator; a lab has the machine that it is on."
        )
    return machine


def world_label(world: WorldName, machine: MachineName) -> str:
    """The world as records and reports name it: `sim` on the reference machine, `sim@here` on this one."""
    return str(world) if machine is MachineName.REFERENCE else f"{world}@{machine}"


@contextmanager
def open_world(
    name: WorldName, lab: str, *, what: str = "mirr episode", machine: MachineName = MachineName.REFERENCE
) -> Iterator[World]:
    """A world that is always closed at the end. `what` is the command that others see as the lab's holder. `machine`
    says whose speed the simulator has. Raises CalibrationError if that was never measured."""
    with works_on_a_lab(name is WorldName.DOCKER):
        world = _opened(name, lab, what, machine)
        try:
            yield world
        finally:
            world.close()


def _opened(name: WorldName, lab: str, what: str, machine: MachineName) -> World:
    match name:
        case WorldName.SIM:
            from mirr.env.simulator.fast.compiled import to_be_compiled
            from mirr.env.simulator.world import SimulatedWorld

            if to_be_compiled():
                print(COMPILING, file=sys.stderr)
            if machine is MachineName.REFERENCE:
                return SimulatedWorld()  # its tables are kept
            from mirr.bridge.calibration.profile import parameters_of

            return SimulatedWorld(parameters_of(machine))
        case WorldName.DOCKER:
            from mirr.bridge.assembly import open_docker_world

            return open_docker_world(lab, what=what)
        case _:
            assert_never(name)
