"""Tests of the belief policy."""
