"""The settings that Compose passes to a service: its name, the place of its data, the addresses of its upstreams."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

_UPSTREAM = "UPSTREAM_"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The whole configuration of a service."""

    service: str
    database: Path
    upstreams: Mapping[str, str] = field(default_factory=dict)  # name -> URL

    @classmethod
    def from_environment(cls, service: str, environment: Mapping[str, str] = os.environ) -> Settings:
        """`DATA` is the directory of the data. `UPSTREAM_AUTH=http://auth:8000` names one upstream."""
        return cls(
            service=service,
            database=Path(environment.get("DATA", "/data")) / f"{service}.db",
            upstreams={
                key.removeprefix(_UPSTREAM).lower(): url.rstrip("/")
                for key, url in environment.items()
                if key.startswith(_UPSTREAM)
            },
        )
