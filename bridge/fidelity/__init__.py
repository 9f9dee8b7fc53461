"""How far the simulator is from the lab, at three levels: signals, transitions, policies.

Everything here is pure: recordings go in, figures come out. One module has one family of statistics.
"""
