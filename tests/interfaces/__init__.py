"""Tests of how others reach an environment and a lab."""
