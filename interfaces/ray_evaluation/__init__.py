"""Plays episodes on a Ray cluster: a pool plays simulated ones, and each real lab has an actor of its own."""
