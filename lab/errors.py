"""What can go wrong with the lab. Each message says what happened, where, and what to do next.

LabError
├── BadLabName          a lab cannot have this name
├── BrokenInstallation  a file of mirr itself is missing
├── EngineError         no Docker engine answers, or it refuses
├── ComposeError        Compose is missing or failed
├── ImageError          an image could not be built
├── ForeignProject      Compose would take somebody else's containers for the lab's
├── BadPort             a value that is not a port
├── PortTaken           somebody else holds a port that the lab publishes
├── LabInUse            another command works on this lab
├── StateError          the files that must outlive a process cannot be kept
├── LabNotUp            the lab, or a part of it, is not there
└── NotSteady           the lab is there but does not reach steady state
"""

from __future__ import annotations


class LabError(Exception):
    """The lab could not do what the caller asked. The message says what, where, and what to do next."""


class BadLabName(LabError):
    """A name that a lab cannot have."""


class BrokenInstallation(LabError):
    """A file of mirr itself is missing."""


class EngineError(LabError):
    """No Docker engine answers, or it refuses."""


class ComposeError(LabError):
    """Compose is missing, or it failed."""


class ImageError(LabError):
    """An image could not be built."""


class ForeignProject(LabError):
    """Compose would take somebody else's containers, networks or volumes for the lab's."""


class BadPort(LabError):
    """A value that is not a port."""


class PortTaken(LabError):
    """Somebody else holds a port that the lab publishes."""


class LabInUse(LabError):
    """Another command works on this lab."""


class StateError(LabError):
    """The files that must outlive a process cannot be kept: no home, no rights, or no room."""


class LabNotUp(LabError):
    """The lab, or a part of it, is not there."""


class NotSteady(LabError):
    """The lab is there but did not reach steady state in time."""
