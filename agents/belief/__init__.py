"""The belief policy: many hypotheses, which the simulator plays and observations weigh."""
