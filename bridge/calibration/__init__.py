"""Fits the simulator's parameters to recordings of the lab, without a look at success or reward.

`fitters.py` has the table: which parameter is read from which probe. `calibrating.py` has the order of the steps.
"""
