"""Defaults and choices that functions and the command line share; imports nothing, so that help does not wait."""

from __future__ import annotations

ID_SHOWN = 8
"""Characters of a run's id that tables show; every command takes as many."""
RUNS_LISTED = 20
"""How many runs are listed unless more are asked for."""
SEEDS = 5
"""Trainings of every variant of a comparison."""
PROGRESS_FORMS = ("auto", "live", "plain", "jsonl", "quiet")
"""How progress is shown."""
FEATURE_CACHE = "dclf-runs/features"
"""What has been extracted."""
CLUSTER_FOLDER = "dclf-runs/cluster"
"""Of the local cluster."""
