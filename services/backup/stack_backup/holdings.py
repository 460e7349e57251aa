"""What a stack holds that a new one does not have: what a restore over it would take away."""

TABLES = "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1"
MANY = 10_000  # rows are counted up to here
SHOWN = 6  # tables that are told by name

# Which rows of a table count; all, where nothing is said. A new database has the others.
ADDED = {
    "alembic_version": "false",
    "alembic_version_auth": "false",
    "experiments": "experiment_id <> 0",
    "workspaces": "name <> 'default'",
    "users": "username NOT IN ('admin', 'serving')",
    # A user's own role is called after him; what it may do goes with him.
    "roles": r"name NOT LIKE '\_\_user\_%'",
    "role_permissions": "false",
    "user_role_assignments": "false",
}
# What people call theirs comes first; the rest hangs on it.
TOLD_FIRST = (
    *("experiments", "runs", "registered_models", "logged_models", "trace_info", "users"),
    *("datasets", "evaluation_datasets", "secrets", "endpoints", "webhooks"),
)


def counting(tables: list[str]) -> str:
    """A query for lines of `table|rows`."""
    return " UNION ALL ".join(
        f"SELECT '{table}', count(*) FROM (SELECT FROM public.\"{table}\""  # noqa: S608
        f" WHERE {ADDED.get(table, 'true')} LIMIT {MANY}) AS rows"
        for table in tables
    )


def told(rows_of: dict[str, dict[str, int]]) -> str:
    """Say what there is, "" for nothing. rows_of: how many rows a table has, by database."""
    rows = [
        (table, count) for tables in rows_of.values() for table, count in tables.items() if count
    ]
    rows.sort(key=lambda row: TOLD_FIRST.index(row[0]) if row[0] in TOLD_FIRST else len(TOLD_FIRST))
    shown = [
        f"{table.replace('_', ' ')} ({count}{'+' if count == MANY else ''})"
        for table, count in rows[:SHOWN]
    ]
    more = [f"rows in {len(rows) - SHOWN} more table(s)"] if len(rows) > SHOWN else []
    return ", ".join(shown + more)
