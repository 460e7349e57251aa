"""What the projects share, importable."""

from harness.projects import importable

importable("wine")
