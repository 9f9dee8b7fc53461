"""Tests of the OpenEnv server, its client and the messages between them."""
