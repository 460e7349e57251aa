"""Environments of models' own: what a model needs, whether the server has it, and the building.

`fit`, `build` and `bytecode` run in children, with what they import; the rest in the HTTP process.
"""
