"""How many numbers a service has."""

NUMBERED_S = 4.0  # seconds of usual requests that the first process of a release can number
