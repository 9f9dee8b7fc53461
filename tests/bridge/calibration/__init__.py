"""Tests of fitting the simulator's parameters."""
