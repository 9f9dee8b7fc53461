"""How the physics is played fast: rows of numbers, compiled code, whole steps at once, lanes and threads."""
