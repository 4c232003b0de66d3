"""The clock."""

from datetime import UTC, datetime


def now() -> datetime:
    """Return the time in UTC: the clock is read here and nowhere below."""
    return datetime.now(UTC)
