"""Tests of the lab as a Chaos Toolkit extension."""
