"""Tests of the training of language models."""
