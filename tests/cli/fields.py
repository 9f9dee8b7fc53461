"""The fields of an episode's report, in the order in which the command prints them."""

EPISODE_FIELDS = [
    "world",
    "policy",
    "seed",
    "tier",
    "scenario",
    "outcome",
    "clean",
    "reason",
    "steps",
    "total_reward",
    "diagnosis",
    "time_to_diagnose_s",
    "time_to_mitigate_s",
    "steps_to_diagnose",
    "steps_to_mitigate",
    "wrong_fixes",
    "harm",
    "trajectory",
]
