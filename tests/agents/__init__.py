"""Tests of the folder `agents`."""
