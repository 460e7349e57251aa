"""The project's modules, importable."""

from tests.projects import importable

importable("validation")
