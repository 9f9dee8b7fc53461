"""Options that many commands share, written once."""

from __future__ import annotations

from typing import Annotated

import typer

LabOption = Annotated[str, typer.Option("--lab", envvar="LAB", help="Which lab; each has its own network and ports.")]
JsonOption = Annotated[bool, typer.Option("--json", help="The answer as JSON on stdout.")]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Print what would be done; do nothing.")]
