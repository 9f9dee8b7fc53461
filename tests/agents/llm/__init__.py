"""Tests of the policy that asks a language model."""
