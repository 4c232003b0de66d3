"""Settings from the environment, prefix FREERECALL_; README's table of them is made here, too."""

import ipaddress
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import platformdirs

from freerecall.errors import SettingsError
from freerecall.grades import GraderMode
from freerecall.logs import LEVELS, LogFormat
from freerecall.resources import folder

PREFIX = "FREERECALL_"
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
    given: dict[str, Any] = {one.field: one.read(environ.get(one.name, "").strip()) for one in TABLE}
    given["grader"] = given["grader"] or grader_mode("", given["model"])
    return Settings(**given)


def remarks(environ: Mapping[str, str] = os.environ) -> list[str]:
    """Return a remark on each variable of ours that does nothing: a slip, or of use with a model only."""
    from rapidfuzz import process

    found = []
    for name in sorted(environ):
        if name.startswith(PREFIX) and name not in VARIABLES:
            (near, alike, _) = process.extractOne(name, VARIABLES)
            hint = f"; did you mean {near}?" if alike >= _ALIKE else ""
            found.append(f"{name} is no setting{hint}")
    if not environ.get("FREERECALL_MODEL", "").strip():
        useless = [one.name for one in TABLE if one.needs_model and environ.get(one.name, "").strip()]
        found += [f"{name} does nothing without FREERECALL_MODEL" for name in useless]
        if environ.get("FREERECALL_GRADER", "").strip() in (GraderMode.LLM, GraderMode.HYBRID):
            found.append("FREERECALL_GRADER wants a model: without FREERECALL_MODEL grades stay provisional")
    return found


def in_force(settings: Settings, environ: Mapping[str, str] = os.environ) -> list[tuple[str, str, str]]:
    """Return (variable, value, where it is from) of every setting; of a secret, only that it is there."""
    rows = []
    for one in TABLE:
        value = getattr(settings, one.field)
        shown = "none" if value in ("", None) else "(set, not shown)" if one.secret else str(value)
        if one.field == "api_base" and value:
            shown = _without_credentials(shown)
        rows.append((one.name, shown, "set" if environ.get(one.name, "").strip() else "default"))
    return rows


def check_folder(data: Path) -> None:
    """Raise SettingsError where the database could not be kept in this folder, or it could not be made."""
    there = next(folder for folder in (data, *data.absolute().parents) if folder.exists())
    if not (there.is_dir() and os.access(there, os.W_OK | os.X_OK)):
        what = "is no folder" if not there.is_dir() else "cannot be written"
        raise SettingsError(
            f"FREERECALL_DATA is {data}, and {there} {what}; name a folder that can be written"
        )


def readme_table() -> str:
    """Return the table of all settings, in Markdown."""
    head = "| variable | meaning | default |\n| --- | --- | --- |\n"
    return head + "".join(f"| `{one.name}` | {one.meaning} | {one.default} |\n" for one in TABLE)


def api_host(address: str) -> str:
    """Return the host, and the port if there is one, of a model's endpoint. Raises SettingsError."""
    try:
        parts = urlsplit(address)
        host = f"{parts.hostname}:{parts.port}" if parts.port else parts.hostname
    except ValueError:
        parts, host = None, None
    if parts is None or parts.scheme not in ("http", "https") or not host:
        raise SettingsError("FREERECALL_API_BASE must be an address such as http://127.0.0.1:8088/v1")
    return host


def grader_mode(value: str, model: str) -> GraderMode:
    """Return the mode that `value` names, or the default for this `model`."""
    return _grader("FREERECALL_GRADER", value) or (GraderMode.HYBRID if model else GraderMode.EMBEDDED)


def _without_credentials(address: str) -> str:
    parts = urlsplit(address)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()


def _text(_: str, value: str) -> str:
    return value


def _folder(_: str, value: str) -> Path:
    return Path(value or platformdirs.user_data_path("freerecall")).expanduser()


def _address(_: str, value: str) -> str:
    if value:
        api_host(value)
    return value


def _grader(name: str, value: str) -> GraderMode | None:
    return GraderMode(_one_of(name, value, tuple(GraderMode))) if value else None


def _prompt(name: str, value: str) -> str:
    """Return the name of a prompt file, or AUTO."""
    names = sorted(path.stem for path in folder("prompts").glob("*.md") if path.stem != "README")
    return _one_of(name, value, (AUTO, *names))


def _one_of(name: str, value: str, allowed: Sequence[str], default: str = "") -> str:
    if not value:
        return default or allowed[0]
    if value not in allowed:
        raise SettingsError(f"{name} is {value!r}; it must be one of {', '.join(allowed)}")
    return value


def _log(name: str, value: str) -> LogFormat:
    return LogFormat(_one_of(name, value, tuple(LogFormat)))


def _log_level(name: str, value: str) -> str:
    return _one_of(name, value.lower(), LEVELS, "warning")


def _proxy(name: str, value: str) -> str:
    found = [part.strip() for part in value.split(",") if part.strip()]
    for part in found:
        try:
            ipaddress.ip_network(part)
        except ValueError:
            raise SettingsError(
                f"{name} has {part!r}; it must be an address or a network such as 10.0.0.0/8"
            ) from None
    return ",".join(found)


def _rate(name: str, value: str) -> int:
    if not value:
        return 120
    if not (value.isascii() and value.isdecimal()) or len(value) > 9:
        raise SettingsError(f"{name} is {value!r}; it must be changes a minute, 0 for no limit")
    return int(value)


def _seconds(name: str, value: str) -> float:
    try:
        seconds = float(value or 30.0)
    except ValueError:
        seconds = 0.0
    low, high = _SECONDS
    if not low <= seconds <= high:
        raise SettingsError(f"{name} is {value!r}; it must be seconds from {low:g} to {high:g}")
    return seconds


def _budget(name: str, value: str) -> float | None:
    if not value:
        return None
    try:
        budget = float(value)
    except ValueError:
        budget = -1.0
    if not 0 <= budget < float("inf"):
        raise SettingsError(f"{name} is {value!r}; it must be an amount such as 2.50")
    return budget


class _Variable:
    """One setting: its variable, how its text is read, and its row of README's table."""

    def __init__(
        self,
        field: str,
        read: Callable[[str, str], object],
        meaning: str,
        default: str = "none",
        *,
        secret: bool = False,
        needs_model: bool = False,
    ) -> None:
        self.field = field
        self.name = f"{PREFIX}{field.upper()}"
        self.read = partial(read, self.name)
        self.meaning = meaning
        self.default = default
        self.secret = secret
        self.needs_model = needs_model


TABLE = (
    _Variable("data", _folder, "folder of the database", "the user's data folder"),
    _Variable("model", _text, "language model"),
    _Variable("api_base", _address, "its endpoint", "the provider's", needs_model=True),
    _Variable("api_key", _text, "its key", "the provider's own variable", secret=True, needs_model=True),
    _Variable("grader", _grader, "`embedded`, `llm` or `hybrid`", "`hybrid` with a model, else `embedded`"),
    _Variable(
        "prompt",
        _prompt,
        "how the model is asked: `judge-v1` (one token and its log-probabilities), `rubric-v1` (a verdict"
        " and a quote for each key point)",
        "`auto`: `judge-v1` for an endpoint of your own that gives log-probabilities",
        needs_model=True,
    ),
    _Variable("budget_usd", _budget, "stop asking the model after this much", "no limit", needs_model=True),
    _Variable(
        "learner_budget_usd",
        _budget,
        "the same for one learner on one day",
        "no limit",
        needs_model=True,
    ),
    _Variable(
        "token",
        _text,
        "the operator's bearer token; it, or an account, is needed to listen beyond 127.0.0.1",
        secret=True,
    ),
    _Variable("proxy", _proxy, "addresses of the TLS proxy in front, whose word on the client counts"),
    _Variable("rate", _rate, "changes a minute by one learner; 0: no limit", "120"),
    _Variable("deadline_s", _seconds, "seconds that a request waits for the model", "30"),
    _Variable("log", _log, "lines on standard error: `text` or `json`", "`text`"),
    _Variable(
        "log_level",
        _log_level,
        "`debug`, `info` (a line for each request), `warning` or `error`",
        "`warning`",
    ),
)
VARIABLES = tuple(one.name for one in TABLE)
