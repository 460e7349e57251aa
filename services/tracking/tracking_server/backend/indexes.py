"""Indexes beside MLflow's, without which searches take longer the more runs there are.

They are dropped before MLflow changes its schema, and made again after that.
"""

from __future__ import annotations

INDEXES = {
    "tracking_server_newest_runs": "runs (experiment_id, start_time DESC, run_uuid)",
    "tracking_server_newest_runs_in_ui": """runs (experiment_id,
        (CASE WHEN start_time IS NULL THEN 1 ELSE 0 END), start_time DESC, run_uuid)""",
}
"""By name, what each is on: an experiment's runs as MLflow sorts them where no order is asked for,
and where the UI asks for one."""
