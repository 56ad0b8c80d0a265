"""The version of the project, read by the build and by provenance fields."""

__version__ = "0.1.0"
