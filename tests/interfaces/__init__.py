"""Tests of the interfaces: how other programs use an environment and a lab."""
