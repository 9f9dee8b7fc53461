"""How many numbers a service has."""

NUMBERED_S = 3.0  # seconds of usual requests that the first process of a release can number
