"""Every page with whatever in its address and its form: an answer in words, never a failure."""

import os
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from freerecall.api.app import create_app
from freerecall.settings import Settings, load
from service_process import served_here

EXAMPLES = int(os.environ.get("FREERECALL_FUZZ", "3"))
ODD = st.one_of(
    st.sampled_from(
        ["", "mlops", "mlops:what-mlops-means", "0", "-1", "9" * 40, "NaN", "../..", "%00", "<b>", "💥" * 50]
    ),
    st.text(max_size=60),
)
FIELDS = (
    *(
        "card_id",
        "client_answer_id",
        "answer",
        "elapsed_ms",
        "dont_know",
        "unscheduled",
        "level",
        "how",
        "rating",
    ),
    *(
        "reason",
        "question",
        "reference",
        "kind",
        "points",
        "alternatives",
        "footnote",
        "tags",
        "action",
        "title",
    ),
    *(
        "deck",
        "count",
        "minutes",
        "pass_mark",
        "seed",
        "weights",
        "name",
        "sitting_id",
        "number",
        "text",
        "format",
    ),
    *(
        "new_per_day",
        "reviews_per_day",
        "retention",
        "only",
        "tag",
        "session",
        "hint",
        "again",
        "card",
        "q",
        "page",
    ),
)


def clean(text: str) -> str:
    return text.encode("utf-8", "replace").decode()


def pages() -> list[tuple[str, str]]:
    def walk(found: Any) -> Iterator[Any]:
        for route in found:
            inner = getattr(route, "original_router", None)
            yield from walk(inner.routes) if inner else (route,)

    return sorted(
        (method, route.path)
        for route in walk(create_app(load()).routes)
        if not route.path.startswith(("/api/", "/static"))
        for method in (getattr(route, "methods", None) or set()) - {"HEAD"}
    )


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    app = create_app(Settings(data=tmp_path_factory.mktemp("pages")))
    with served_here(app) as url, httpx.Client(base_url=url, timeout=60) as client:
        yield client


@pytest.mark.parametrize(("method", "path"), pages())
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=st.data())
def test_no_page_fails(client: httpx.Client, method: str, path: str, data: st.DataObject) -> None:
    def value(_: re.Match[str]) -> str:
        return quote(clean(data.draw(ODD)), safe="") or "x"

    address = re.sub(r"\{\w+\}", value, path)
    query = data.draw(st.dictionaries(st.sampled_from(FIELDS), ODD, max_size=3))
    form = data.draw(st.dictionaries(st.sampled_from(FIELDS), ODD, max_size=6)) if method == "POST" else None
    reply = client.request(
        method,
        address,
        params={name: clean(text) for name, text in query.items()},
        data=None if form is None else {name: clean(text) for name, text in form.items()},
    )
    assert reply.status_code < 500, (method, address, query, form, reply.text[-300:])
    if reply.status_code >= 400 and "html" in reply.headers["content-type"]:
        assert "<h1" in reply.text
    assert "Traceback" not in reply.text
