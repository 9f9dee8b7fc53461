"""The composed containers as a World, and how far they are from the simulator."""
