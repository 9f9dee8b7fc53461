"""The release that this tree is."""

VERSION = "1.5.0"
