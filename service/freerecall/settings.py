"""Settings from the environment, prefix FREERECALL_."""

import ipaddress
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from freerecall.errors import SettingsError
from freerecall.grades import GraderMode
from freerecall.logs import LEVELS, LogFormat
from freerecall.resources import folder

PREFIX = "FREERECALL_"
_NAMES = (
    *("DATA", "MODEL", "API_BASE", "API_KEY", "GRADER", "PROMPT", "BUDGET_USD", "LEARNER_BUDGET_USD"),
    *("TOKEN", "PROXY", "RATE", "DEADLINE_S", "LOG", "LOG_LEVEL"),
)
VARIABLES = tuple(f"{PREFIX}{name}" for name in _NAMES)
_ALIKE = 80
_SECONDS = (0.1, 600.0)
AUTO = "auto"
"""The prompt is chosen by what the model offers."""


@dataclass(frozen=True, slots=True)
class Settings:
    """`data` is the folder of the database; `model` empty means no language model.

    `proxy`: addresses and networks, separated by commas, whose word on a client's address and
    scheme counts. `rate`: changes a minute that a learner may make, 0: no limit.
    `deadline_s`: how long a request may wait for the model; a verdict in the background, twice that.
    `learner_budget_usd`: what the model may cost for one learner on one day.
    """

    data: Path
    model: str = ""
    api_base: str = ""
    api_key: str = ""
    grader: GraderMode = GraderMode.EMBEDDED
    budget_usd: float | None = None
    token: str = ""
    prompt: str = AUTO
    proxy: str = ""
    rate: int = 120
    learner_budget_usd: float | None = None
    deadline_s: float = 30.0
    log: LogFormat = LogFormat.TEXT
    log_level: str = "warning"

    @property
    def cache(self) -> Path:
        return self.data / "llm-cache.db"

    @property
    def database(self) -> Path:
        return self.data / "freerecall.db"


def load(environ: Mapping[str, str] = os.environ) -> Settings:
    """Read the settings.

    With a model and no FREERECALL_GRADER the grader is hybrid; without a model, embedded.
    Raises SettingsError naming the variable whose value is unusable.
    """

    def get(name: str) -> str:
        return environ.get(f"FREERECALL_{name}", "").strip()

    model = get("MODEL")
    return Settings(
        data=Path(get("DATA") or platformdirs.user_data_path("freerecall")).expanduser(),
        model=model,
        api_base=get("API_BASE"),
        api_key=get("API_KEY"),
        grader=grader_mode(get("GRADER"), model),
        budget_usd=_budget("BUDGET_USD", get("BUDGET_USD")),
        token=get("TOKEN"),
        prompt=_prompt(get("PROMPT")),
        proxy=_proxy(get("PROXY")),
        rate=_rate(get("RATE")),
        learner_budget_usd=_budget("LEARNER_BUDGET_USD", get("LEARNER_BUDGET_USD")),
        deadline_s=_seconds("DEADLINE_S", get("DEADLINE_S"), 30.0),
        log=LogFormat(_one_of("LOG", get("LOG"), tuple(LogFormat))),
        log_level=_one_of("LOG_LEVEL", get("LOG_LEVEL").lower() or "warning", LEVELS),
    )


def unknown(environ: Mapping[str, str] = os.environ) -> list[str]:
    """Return a remark on each variable with our prefix that no setting has: most often a slip."""
    from rapidfuzz import process

    remarks = []
    for name in sorted(environ):
        if name.startswith(PREFIX) and name not in VARIABLES:
            (near, alike, _) = process.extractOne(name, VARIABLES)
            hint = f"; did you mean {near}?" if alike >= _ALIKE else ""
            remarks.append(f"{name} is no setting{hint}")
    return remarks


def _seconds(name: str, value: str, default: float) -> float:
    try:
        seconds = float(value or default)
    except ValueError:
        seconds = 0.0
    if not _SECONDS[0] <= seconds <= _SECONDS[1]:
        low, high = _SECONDS
        raise SettingsError(f"FREERECALL_{name} is {value!r}; it must be seconds from {low:g} to {high:g}")
    return seconds


def _one_of(name: str, value: str, allowed: Sequence[str]) -> str:
    if not value:
        return allowed[0]
    if value not in allowed:
        raise SettingsError(f"FREERECALL_{name} is {value!r}; it must be one of {', '.join(allowed)}")
    return value


def grader_mode(value: str, model: str) -> GraderMode:
    """Return the mode that `value` names, or the default for this `model`."""
    if not value:
        return GraderMode.HYBRID if model else GraderMode.EMBEDDED
    try:
        return GraderMode(value)
    except ValueError:
        allowed = ", ".join(GraderMode)
        raise SettingsError(f"FREERECALL_GRADER is {value!r}; it must be one of {allowed}") from None


def _prompt(value: str) -> str:
    """Return the name of a prompt file, or AUTO."""
    names = sorted(path.stem for path in folder("prompts").glob("*.md") if path.stem != "README")
    if value and value != AUTO and value not in names:
        raise SettingsError(f"FREERECALL_PROMPT is {value!r}; it must be one of {', '.join([AUTO, *names])}")
    return value or AUTO


def _proxy(value: str) -> str:
    found = [part.strip() for part in value.split(",") if part.strip()]
    for part in found:
        try:
            ipaddress.ip_network(part)
        except ValueError:
            raise SettingsError(
                f"FREERECALL_PROXY has {part!r}; it must be an address or a network such as 10.0.0.0/8"
            ) from None
    return ",".join(found)


def _rate(value: str) -> int:
    if not value:
        return 120
    if not value.isdecimal() or len(value) > 9:
        raise SettingsError(f"FREERECALL_RATE is {value!r}; it must be changes a minute, 0 for no limit")
    return int(value)


def _budget(name: str, value: str) -> float | None:
    if not value:
        return None
    try:
        budget = float(value)
    except ValueError:
        budget = -1.0
    if not 0 <= budget < float("inf"):
        raise SettingsError(f"FREERECALL_{name} is {value!r}; it must be an amount such as 2.50")
    return budget
