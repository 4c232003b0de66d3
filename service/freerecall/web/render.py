"""Templates and what they need."""

import hashlib
from functools import cache
from pathlib import Path
from typing import Any

from fastapi.responses import HTMLResponse
from jinja2 import Environment, PackageLoader, StrictUndefined

from freerecall.grades import RATING_NAMES, RATINGS, Verdict
from freerecall.store.queue import MOST_COUNTED, MOST_LISTED
from freerecall.wording import form_of

STATIC = Path(__file__).parent / "static"
VERDICTS = {
    Verdict.COVERED: ("✓", "covered"),
    Verdict.PARTIAL: ("◐", "in part"),
    Verdict.MISSING: ("○", "missing"),
    Verdict.CONTRADICTED: ("✗", "contradicted"),
}


@cache
def _templates() -> Environment:
    env = Environment(
        loader=PackageLoader("freerecall.web"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    env.globals.update(
        asset=_asset, rating_names=RATING_NAMES, ratings=RATINGS, verdicts=VERDICTS, form_of=form_of
    )
    env.filters["counted"] = lambda n, most=MOST_LISTED: f"{n - 1}+" if n >= most else str(n)
    env.globals["most_counted"] = MOST_COUNTED
    return env


@cache
def _asset(name: str) -> str:
    """Return the address of a static file; it changes with the content, so that it can be cached."""
    digest = hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:12]
    return f"/static/{name}?{digest}"


def render(template: str, status: int = 200, **values: Any) -> HTMLResponse:
    """Return a page made of a template."""
    return HTMLResponse(_templates().get_template(template).render(**values), status_code=status)
