"""The options that several commands share."""

from __future__ import annotations

from typing import Annotated

import typer

LabOption = Annotated[str, typer.Option("--lab", envvar="LAB", help="Which lab. Each has its own network and ports.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the answer as JSON on stdout.")]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Print what would be done, and do nothing.")]
