"""Tests of the language model that plays."""
