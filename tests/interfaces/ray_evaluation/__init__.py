"""Tests of the evaluation on Ray."""
