"""freerecall: typed answers, graded against a reference with evidence, scheduled for review."""

__version__ = "0.1.0"
