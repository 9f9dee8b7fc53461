"""The fields that others rely on, in the order in which they are printed."""

EPISODE_FIELDS = [
    "world",
    "policy",
    "seed",
    "scenario",
    "outcome",
    "reason",
    "steps",
    "total_reward",
    "diagnosis",
    "time_to_diagnose_s",
    "time_to_mitigate_s",
    "harm",
    "trajectory",
]
