"""Tests of the folder `env`."""
