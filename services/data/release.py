"""The release that this tree is."""

VERSION = "1.4.0"
