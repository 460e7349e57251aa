"""A fast path for the calls that scripts and the UI make most; the unusual goes to MLflow's code.

`front` takes a request or passes it on, `calls` knows which there are, `plain` and `queries` say
what is plain, `group` does what waits together. `postgres` and `sqlite` write what is logged.
On PostgreSQL alone, `runs` makes and changes them, and `lookups` and `pages` read, of the registry
as `registry` says: `entities` are written as JSON by the database, `data` of runs here. Traces come
by `otlp`: `spans` makes rows of those that have no `meanings`, and `traces` writes them.
"""
