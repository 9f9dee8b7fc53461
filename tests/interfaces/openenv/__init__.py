"""Tests of the OpenEnv server, its client and what goes over the wire."""
