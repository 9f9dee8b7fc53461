"""The release of this tree."""

VERSION = "1.4.0"
