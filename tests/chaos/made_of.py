"""The footprint of a FakeLab, for tests that compare it before and after."""

from __future__ import annotations

from mirr.lab.footprint import LAB, Footprint, flat
from tests.fakes.lab import FakeLab


def made_of(lab: FakeLab) -> Footprint:
    """The fields that a fault or a fix could change permanently."""
    found: Footprint = {
        service.value: {
            "HostConfig.CpuQuota": own.quota_us,
            "Config.Image": own.release,
            "Status": "running" if own.running else "exited",
        }
        for service, own in lab.services.items()
    }
    return found | {LAB: flat({"campaigns": list(lab.running_campaigns)})}
