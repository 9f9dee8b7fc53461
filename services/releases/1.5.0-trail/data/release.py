"""The release of this tree."""

VERSION = "1.5.0"
