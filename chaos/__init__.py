"""Breaks services of one lab from the outside, and puts everything back: blast radius, journal, leases."""
