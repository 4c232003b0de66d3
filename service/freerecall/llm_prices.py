"""What a call costs: LiteLLM's bundled price list, read as a file so that LiteLLM itself stays unloaded."""

import ipaddress
import json
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

_PRICE_LIST = "model_prices_and_context_window_backup.json"


@dataclass(frozen=True, slots=True)
class Price:
    """US dollars a token."""

    tokens_in: float
    tokens_out: float

    def cost(self, tokens_in: int, tokens_out: int) -> float:
        """Return US dollars. List price: neither batch nor prompt-cache discounts are counted."""
        return self.tokens_in * tokens_in + self.tokens_out * tokens_out


FREE = Price(0.0, 0.0)


@lru_cache(maxsize=16)
def price_of(model: str, api_base: str) -> Price | None:
    """Return the list price of `model`, FREE for an unlisted model on this machine or network, or None.

    Reads a file of 3 MB (about 0.1 s) at the first call for a model.
    """
    spec = find_spec("litellm")
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        try:
            listed = json.loads((Path(folder) / _PRICE_LIST).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        for name in (model, model.removeprefix("openai/"), model.partition("/")[2]):
            entry = listed.get(name)
            if isinstance(entry, dict) and "input_cost_per_token" in entry:
                return Price(
                    float(entry["input_cost_per_token"]), float(entry.get("output_cost_per_token") or 0.0)
                )
    return FREE if is_local(api_base) else None


def is_local(api_base: str) -> bool:
    """Say whether `api_base` names this machine or a private network."""
    host = urlsplit(api_base).hostname or ""
    try:
        return ipaddress.ip_address(host).is_private
    except ValueError:
        return host == "localhost" or host.endswith((".localhost", ".local", ".internal"))
