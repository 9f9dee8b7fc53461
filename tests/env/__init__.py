"""Tests of `env`."""
