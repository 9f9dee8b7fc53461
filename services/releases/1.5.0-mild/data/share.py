"""How much of a table a boot converts."""

SHARE = 0.25  # of what is left
