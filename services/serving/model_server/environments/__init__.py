"""Environments of models' own: what a model needs, whether the server has it, and the building."""
