"""How much of a table a boot converts."""

SHARE = 0.75  # of what is left
