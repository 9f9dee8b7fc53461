"""Injects faults into the services of one lab from outside, and reverts them: blast radius, journal, leases."""

if __name__ != "mirr.chaos":  # in a checkout, this folder could also be found under its bare name
    raise ImportError(f"{__name__} is a part of mirr: import mirr.chaos")
