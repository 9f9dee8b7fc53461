"""The error of a calibration."""

from __future__ import annotations


class CalibrationError(ValueError):
    """Parameters that cannot be fitted, read or written. The message says why, and what to do next."""
