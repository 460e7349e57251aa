"""The project's modules, importable."""

from harness.projects import importable

importable("wine")
