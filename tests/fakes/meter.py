"""The load of the services of a fake lab."""

from __future__ import annotations

from mirr.chaos.load import Load
from mirr.env.vocabulary import Service
from tests.fakes.lab import FakeLab


class FakeMeter:
    """The load of a FakeLab's services."""

    def __init__(self, lab: FakeLab) -> None:
        self._lab = lab

    def so_far(self, service: Service) -> Load:
        return self._lab.so_far(service)

    def last(self, service: Service, seconds: float) -> Load:
        return self._lab.last_load(service)

    def glance(self, service: Service, seconds: float) -> Load | None:
        return self._lab.last_load(service) if self._lab.services[service].running else None
