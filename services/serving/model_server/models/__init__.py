"""One served version in the HTTP process: its queue, its workers, its shadow."""
