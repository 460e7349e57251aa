"""Serves MLflow models over HTTP: the versions that a registry's alias points at, or any model."""

__version__ = "0.2.0"
