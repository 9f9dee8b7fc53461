"""The options that several commands share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import typer

from mirr.env.vocabulary import FaultMode, Service, Tier
from mirr.lab.names import DEFAULT_LAB, parse_lab


@dataclass
class Chosen:
    """What the command line chose, for the one place that reports errors."""

    lab: str = DEFAULT_LAB


def _note_lab(context: typer.Context, lab: str) -> str:
    parse_lab(lab)
    if isinstance(context.obj, Chosen):
        context.obj.lab = lab
    return lab


LabOption = Annotated[
    str,
    typer.Option("--lab", envvar="LAB", help="Which lab. Each has its own network and ports.", callback=_note_lab),
]
TierOption = Annotated[
    str | None,
    typer.Option("--tier", help=f"How hard the drawn incidents are: {', '.join(Tier)}. Default: {Tier.EASY}."),
]
MachineOption = Annotated[
    str,
    typer.Option(
        "--machine", help="Whose speed the simulator has: reference, or here, as mirr calibrate --quick measured it."
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the answer as JSON on stdout.")]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Print what would be done, and do nothing.")]

MODE_HELP = f"{', '.join(FaultMode)}; or one of its forms, as in bad_deploy/errors."
SERVICE_HELP = f"{', '.join(Service)}."
