"""How many examples a test draws: a few each time, many in `make fuzz`."""

import os

LONG = int(os.environ.get("FREERECALL_FUZZ", "0"))


def examples(usual: int) -> int:
    """Return `usual`, and in `make fuzz` ten for each of its own."""
    return max(usual, 10 * LONG)
