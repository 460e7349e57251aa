"""What the projects share, importable."""

from tests.projects import importable

importable(".")
