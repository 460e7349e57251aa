"""Faults against the shipped stack under load: what clients see, and that nothing acknowledged is
lost.

options     the command line
suite       faults one after the other, in a stack of its own
faults      the faults, as a table
scene       the stack that they happen to, and its models
team        the ways into a stack with the team overlay
injections  how each kind of fault is brought about, and undone
wayward     the model that misbehaves on request
load        clients of every kind, and the outcome of each of their attempts
retries     how often MLflow's client tries again
ledger      what was acknowledged to them, and whether it is still there
summary     outcomes, longest gap, time to come back
trial       one fault under load
report      the table
"""
