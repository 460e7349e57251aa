"""A fast path for the calls that scripts make most; whatever is unusual goes to MLflow's own code.

`front` takes a request or passes it on, `plain` says what is plain, `writer` puts requests that
arrive while a transaction runs into the next one, `postgres` and `sqlite` are its statements.
"""
