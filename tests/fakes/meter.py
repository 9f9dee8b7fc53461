"""The load of the services of a fake lab."""

from __future__ import annotations

from mirr.chaos.load import Load
from mirr.env.vocabulary import Service
from tests.fakes.lab import FakeLab


class FakeMeter:
    """The load of a FakeLab's services."""

    def __init__(self, lab: FakeLab) -> None:
        self._lab = lab

    def usual(self, service: Service) -> Load | None:
        return self._lab.usual_load()

    def glance(self, service: Service, seconds: float) -> Load | None:
        return self._lab.last_load(service)
