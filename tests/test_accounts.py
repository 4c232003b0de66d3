"""Accounts over real HTTP: login, cookies, sessions, throttling, what is kept of a learner and its end."""

import json
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlite_utils import Database

import scripted_llm as llm
from freerecall import accounts
from freerecall.access import LOCAL, Role
from freerecall.errors import ConflictError, InputError, TooManyError
from freerecall.llm_cache import FileCache
from freerecall.store import Store
from freerecall.store.migrations import migrations
from people import PASSWORD, add_people, client, log_in
from polling import until
from service_process import environment, running_service
from terminal import Terminal

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
CARD = "mlops:monitoring-step-pipeline"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "freerecall.db") as store:
        yield store


@dataclass(frozen=True)
class School:
    url: str
    data: Path


@pytest.fixture(scope="module")
def school(tmp_path_factory: pytest.TempPathFactory) -> Iterator[School]:
    """One service for the tests that do not mind each other: each has learners of its own."""
    data = tmp_path_factory.mktemp("school")
    learners = ("ann", "bob", "cara", "dan", "eve", "fay", "gus")
    add_people(data, {"root": Role.ADMIN, **dict.fromkeys(learners, Role.LEARNER)})
    with running_service(environment(data, FREERECALL_TOKEN="secret")) as service:
        yield School(service.url, data)


def who(store: Store, session: str = "", bearer: str = "", *, token: str = "", at: datetime = NOW) -> Any:
    return accounts.who_asks(
        store,
        session_id=session,
        bearer=bearer,
        token=token,
        alone=True,
        now=at,
        touch=lambda hash: store.use_session(hash, at),
    )


def test_alone_until_there_is_an_account(store: Store) -> None:
    assert who(store) == LOCAL
    row = accounts.add(store, "Ann", Role.ADMIN, PASSWORD, now=NOW)
    assert who(store) is None
    accounts.erase(store, row.learner)
    assert who(store) == LOCAL


def test_a_service_that_others_reach_never_falls_back_to_alone(store: Store) -> None:
    nobody: dict[str, Any] = {"session_id": "", "bearer": "", "token": "", "touch": lambda _: None}
    assert accounts.who_asks(store, **nobody, alone=False, now=NOW) is None


def test_names_are_compared_without_case_and_width(store: Store) -> None:
    row = accounts.add(store, " Ann  Lee ", Role.LEARNER, PASSWORD, now=NOW)
    assert row.name == "ann lee"
    with pytest.raises(ConflictError, match="ann lee"):
        accounts.add(store, "ＡＮＮ lee", Role.LEARNER, PASSWORD, now=NOW)
    for bad in ("", "-x", "a/b", "a\nb\x00", "x" * 65, "<b>"):
        with pytest.raises(InputError, match="name"):
            accounts.clean_name(bad)
    for bad in ("short", "x" * 1001, "ann leeann lee"[:7]):
        with pytest.raises(InputError, match="password"):
            accounts.add(store, "bob", Role.LEARNER, bad, now=NOW)
    assert accounts.clean_name("José.o'Neill@school_1") == "josé.o'neill@school_1"


def test_passwords_are_kept_as_argon2_and_made_anew_when_its_parameters_change(store: Store) -> None:
    from argon2 import PasswordHasher

    row = accounts.add(store, "ann", Role.LEARNER, PASSWORD, now=NOW)
    assert row.password.startswith("$argon2id$")
    weak = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)
    store.set_password(row.learner, weak)
    assert accounts.verify(store, "ann", "wrong password") is None
    assert store.account("ann").password == weak  # type: ignore[union-attr]
    assert accounts.verify(store, "ANN", PASSWORD)
    assert store.account("ann").password.split("$")[3] == row.password.split("$")[3]  # type: ignore[union-attr]


def test_an_unknown_name_is_verified_like_a_known_one(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    accounts.add(store, "ann", Role.LEARNER, PASSWORD, now=NOW)
    seen: list[str] = []
    fits = accounts._fits
    monkeypatch.setattr(accounts, "_fits", lambda hash, password: seen.append(hash) or fits(hash, password))
    for name in ("ann", "nobody", "", "no/name"):
        assert accounts.verify(store, name, "wrong password") is None
    assert len(seen) == 4
    assert len({hash.rsplit("$", 2)[0] for hash in seen}) == 1


def test_a_crowd_at_the_door_is_sent_away(store: Store) -> None:
    accounts.add(store, "ann", Role.LEARNER, PASSWORD, now=NOW)
    taken = 0
    try:
        while accounts._queueing.acquire(blocking=False):
            taken += 1
        with pytest.raises(TooManyError, match="at once"):
            accounts.verify(store, "ann", PASSWORD)
    finally:
        accounts._queueing.release(taken)
    assert taken == 16
    assert accounts.verify(store, "ann", PASSWORD)


def test_a_session_ends_when_idle_and_at_last(store: Store) -> None:
    row = accounts.add(store, "ann", Role.LEARNER, PASSWORD, now=NOW)
    second = timedelta(seconds=1)
    session = accounts.begin_session(store, row.learner, now=NOW)
    assert len(session) >= 43
    assert who(store, session, at=NOW + accounts.IDLE - second).name == "ann"
    assert who(store, session, at=NOW + 2 * accounts.IDLE - 2 * second).name == "ann"
    assert who(store, session, at=NOW + 3 * accounts.IDLE) is None
    at = NOW
    while at < NOW + accounts.LONGEST:
        assert who(store, session, at=at) or at > NOW + 2 * accounts.IDLE
        at += accounts.IDLE / 2
    busy = accounts.begin_session(store, row.learner, now=NOW)
    for days in range(accounts.LONGEST.days + 1):
        assert who(store, busy, at=NOW + timedelta(days=days))
    assert who(store, busy, at=NOW + accounts.LONGEST + second) is None
    accounts.begin_session(store, row.learner, now=NOW + accounts.LONGEST + second)
    assert len(store.sessions(row.learner)) == 1


def test_session_ids_are_stored_hashed_and_bounded(store: Store) -> None:
    row = accounts.add(store, "ann", Role.LEARNER, PASSWORD, now=NOW)
    ids = [accounts.begin_session(store, row.learner, now=NOW) for _ in range(accounts.MOST_SESSIONS + 5)]
    assert not any(id in line for line in store.db.conn.iterdump() for id in ids)
    assert len(store.sessions(row.learner)) == accounts.MOST_SESSIONS
    assert who(store, ids[-1])
    assert who(store, ids[0]) is None
    assert who(store, accounts.session_hash(ids[-1])) is None


def test_a_session_of_the_token_ends_with_the_token(store: Store) -> None:
    session = accounts.begin_session(store, "local", now=NOW, token="one")
    assert who(store, session, token="one").role is Role.ADMIN
    assert who(store, session, token="two") is None
    accounts.add(store, "ann", Role.LEARNER, PASSWORD, now=NOW)
    assert who(store, session) is None
    assert who(store, bearer="one", token="one") == LOCAL
    assert who(store, bearer="two", token="one") is None


def test_the_last_admin_stays_while_others_are_there(store: Store) -> None:
    root = accounts.add(store, "root", Role.ADMIN, PASSWORD, now=NOW)
    ann = accounts.add(store, "ann", Role.LEARNER, PASSWORD, now=NOW)
    with pytest.raises(ConflictError, match="last admin"):
        accounts.set_role(store, root, Role.TEACHER)
    with pytest.raises(ConflictError, match="last admin"):
        accounts.erase(store, root.learner)
    accounts.set_role(store, ann, Role.ADMIN)
    accounts.erase(store, root.learner)
    assert [row.name for row in store.accounts()] == ["ann"]


def test_cookies_logout_and_a_new_id_at_every_login(school: School) -> None:
    assert client(school.url).get("/").headers["location"] == "/login"
    ann = client(school.url)
    form = {"name": "Ann", "password": PASSWORD}
    tls = {"x-forwarded-proto": "https"}  # from nobody that is known
    first = ann.post("/login", data=form, headers=tls).headers["set-cookie"]
    flags = {part.strip().lower() for part in first.split(";")[1:]}
    assert {"httponly", "samesite=lax", "path=/"} <= flags
    assert "secure" not in flags
    before = ann.cookies["freerecall"]
    ann.post("/login", data=form)
    assert ann.cookies["freerecall"] != before
    stale = client(school.url)
    stale.cookies.set("freerecall", before)
    assert stale.get("/api/v1/decks").status_code == 401
    held = ann.cookies["freerecall"]
    assert ann.get("/api/v1/decks").status_code == 200
    assert ann.post("/logout").headers["location"] == "/login"
    stale.cookies.set("freerecall", held)
    assert stale.get("/api/v1/decks").status_code == 401


@pytest.mark.parametrize(("proxy", "secure"), [("127.0.0.1", True), ("10.0.0.0/8", False)])
def test_cookies_are_secure_where_a_known_proxy_says_tls(tmp_path: Path, proxy: str, secure: bool) -> None:
    add_people(tmp_path, {"ann": Role.LEARNER})
    with running_service(environment(tmp_path, FREERECALL_PROXY=proxy)) as service:
        headers = {"x-forwarded-proto": "https", "x-forwarded-for": "198.51.100.7"}
        form = {"name": "ann", "password": PASSWORD}
        set_cookie = httpx.post(f"{service.url}/login", data=form, headers=headers).headers["set-cookie"]
        assert ("; secure" in set_cookie.lower()) is secure
        headers = {"host": "school.example"}
        assert httpx.get(f"{service.url}/static/style.css", headers=headers).status_code == 200
        assert httpx.get(f"{service.url}/login", headers=headers).status_code == 200
        with Store.open(tmp_path / "freerecall.db") as store:
            accounts.erase(store, store.accounts()[0].learner)
        assert httpx.get(f"{service.url}/api/v1/decks").status_code == 401  # not alone, with a proxy


def test_a_change_with_a_cookie_says_where_it_comes_from(school: School) -> None:
    ann = log_in(school.url, "ann")
    card = ann.get("/api/v1/decks/mlops/cards?limit=1").json()[0]["id"]
    path = f"/api/v1/cards/{card}/hold"
    body = {"how": "release"}
    for headers, status in (
        ({"origin": school.url}, 204),
        ({"sec-fetch-site": "same-origin"}, 204),
        ({}, 403),
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-site", "origin": school.url}, 403),
        ({"sec-fetch-site": "same-origin", "origin": "http://evil.example"}, 403),
    ):
        plain = httpx.Client(base_url=school.url, cookies=ann.cookies, timeout=60)
        assert plain.post(path, json=body, headers=headers).status_code == status, headers
    assert httpx.post(f"{school.url}{path}", json=body).status_code == 401
    bearer = {"authorization": "Bearer secret"}
    assert httpx.post(f"{school.url}{path}", json=body, headers=bearer).status_code == 204


def test_wrong_passwords_wait_longer_and_longer(school: School) -> None:

    def attempt(name: str, password: str = "wrong password") -> httpx.Response:
        return client(school.url).post("/login", data={"name": name, "password": password})

    for names in (("gus", "GUS", " ｇｕｓ "), ("nobody",)):
        replies = [attempt(names[number % len(names)]) for number in range(9)]
        assert [reply.status_code for reply in replies[:5]] == [403] * 5
        refused = [reply for reply in replies if reply.status_code == 429]
        assert refused
        assert all(int(reply.headers["retry-after"]) >= 1 for reply in refused)
        assert "wait" in refused[0].text
    assert attempt("cara", PASSWORD).status_code == 303


def test_changes_are_limited_for_each_learner(tmp_path: Path) -> None:
    add_people(tmp_path, {"ann": Role.LEARNER, "bob": Role.LEARNER})
    env = environment(tmp_path, FREERECALL_RATE="3", FREERECALL_TOKEN="secret")
    with running_service(env) as service:
        ann, bob = log_in(service.url, "ann"), log_in(service.url, "bob")
        replies = [ann.post("/undo") for _ in range(5)]
        assert [reply.status_code for reply in replies][:3] == [303] * 3
        assert replies[-1].status_code == 429
        assert int(replies[-1].headers["retry-after"]) >= 1
        assert ann.get("/").status_code == 200
        assert bob.post("/undo").status_code == 303
        bearer = {"authorization": "Bearer secret"}
        codes = {httpx.post(f"{service.url}/undo", headers=bearer).status_code for _ in range(9)}
        assert codes == {303}


def test_sessions_are_seen_and_ended(school: School) -> None:
    first, second, third = (log_in(school.url, "eve") for _ in range(3))
    root = log_in(school.url, "root")
    page = first.get("/account").text
    assert page.count("python-httpx") >= 3
    ends = [part.split('"')[0] for part in page.split('name="session" value="')[1:]]
    here = accounts.session_hash(first.cookies["freerecall"])
    gone = accounts.session_hash(second.cookies["freerecall"])
    assert {here, gone} <= set(ends)
    assert root.post("/account/sessions/end", data={"session": gone}).status_code == 404
    first.post("/account/sessions/end", data={"session": gone})
    assert [one.get("/api/v1/decks").status_code for one in (first, second, third)] == [200, 401, 200]
    assert (
        first.post("/account/password", data={"password": "no", "new": "a new password"}).status_code == 422
    )
    changed = first.post("/account/password", data={"password": PASSWORD, "new": "a new password"})
    assert changed.status_code == 303
    assert [one.get("/api/v1/decks").status_code for one in (first, third)] == [200, 401]
    assert third.post("/login", data={"name": "eve", "password": PASSWORD}).status_code == 403
    again = log_in(school.url, "eve", "a new password")
    root.post("/people/eve", data={"action": "sessions"})
    assert [one.get("/api/v1/decks").status_code for one in (first, again)] == [401, 401]
    again = log_in(school.url, "eve", "a new password")
    again.post("/account/sessions/end")
    assert again.get("/api/v1/decks").status_code == 401
    again = log_in(school.url, "eve", "a new password")
    root.post("/people/eve", data={"action": "role", "role": "admin"})
    assert again.get("/people").status_code == 200
    assert (
        root.post("/people", data={"name": "hal", "role": "teacher", "password": PASSWORD}).status_code == 200
    )
    assert log_in(school.url, "hal").get("/people").status_code == 403


def test_the_tokens_page_gives_a_session_that_can_be_ended(tmp_path: Path) -> None:
    with running_service(environment(tmp_path, FREERECALL_TOKEN="secret")) as service:
        one = client(service.url)
        assert one.post("/login", data={"token": "secret"}).status_code == 303
        other = client(service.url)
        other.cookies.set("freerecall", one.cookies["freerecall"])
        assert other.get("/api/v1/decks").status_code == 200
        one.post("/logout")
        assert other.get("/api/v1/decks").status_code == 401


def test_two_learners_have_a_schedule_each_on_one_deck(school: School) -> None:
    ann, bob = log_in(school.url, "cara"), log_in(school.url, "dan")
    asked = ann.get("/api/v1/practice/next?deck=mlops").json()
    card = asked["card"]["id"]
    answer = {"card_id": card, "answer": "no idea at all", "client_answer_id": "same id"}
    given = ann.post("/api/v1/practice/answers", json=answer).json()
    assert ann.get("/api/v1/practice/next?deck=mlops").json()["card"]["id"] != card
    assert bob.get("/api/v1/practice/next?deck=mlops").json() == asked
    answer["answer"] = "another answer"
    theirs = bob.post("/api/v1/practice/answers", json=answer).json()
    assert theirs["answer_id"] != given["answer_id"]
    crammed = {**answer, "client_answer_id": "cram", "scheduled": False, "session": "one session"}
    ann.post("/api/v1/practice/answers", json=crammed)
    cram = "/api/v1/practice/next?deck=mlops&only=cram&session=one%20session"
    assert [one.get(cram).json()["due"] for one in (ann, bob)] == [68, 69]
    bob.put("/api/v1/decks/mlops/settings", json={"new_per_day": 1})
    assert ann.get("/api/v1/decks/mlops/settings").json()["new_per_day"] is None
    assert bob.get("/api/v1/practice/next?deck=mlops").json()["card"] is None
    counts = [sum(one.get("/api/v1/statistics").json()["ratings"]) for one in (ann, bob)]
    assert counts == [1, 1]
    assert bob.post(f"/api/v1/answers/{theirs['answer_id']}/undo").status_code == 200
    assert ann.get(f"/api/v1/answers/{given['answer_id']}").json()["rating"] == given["rating"]
    past = [one.get(f"/cards/{card}").text for one in (ann, bob)]
    assert "no idea at all" in past[0]
    assert "no idea at all" not in past[1]


def test_who_has_spent_the_days_budget_keeps_the_embedded_grade(tmp_path: Path) -> None:
    learners = add_people(tmp_path, {"ann": Role.LEARNER, "bob": Role.LEARNER})
    today = accounts.today(datetime.now(UTC))
    with llm.ScriptedLLM() as model:
        settings = {
            "FREERECALL_MODEL": "openai/gpt-4o-mini",
            "FREERECALL_API_BASE": model.api_base,
            "FREERECALL_API_KEY": "k",
            "FREERECALL_GRADER": "llm",
            "FREERECALL_PROMPT": "rubric-v1",
            "FREERECALL_LEARNER_BUDGET_USD": "0.0000001",
        }
        with running_service(environment(tmp_path, **settings)) as service:
            ann, bob = log_in(service.url, "ann"), log_in(service.url, "bob")

            def answer(one: httpx.Client, id: str) -> dict[str, Any]:
                body = {"card_id": CARD, "answer": f"it watches things, {id}", "client_answer_id": id}
                found: dict[str, Any] = one.post("/api/v1/practice/answers", json=body).json()
                return found

            first = answer(ann, "1")
            events = ann.get(f"/api/v1/answers/{first['answer_id']}/events").text
            assert '"decided_by":"llm"' in events
            second = answer(ann, "2")
            assert (second["decided_by"], second["provisional"], second["pending"]) == (
                "embedded",
                True,
                True,
            )
            assert "budget" in second["provenance"]["error"]
            assert "event: failed" in ann.get(f"/api/v1/answers/{second['answer_id']}/events").text
            body = {"question": "?", "reference": "a b c", "answer": "a", "grader": "llm"}
            asked = len(model.requests)
            stateless = ann.post("/api/v1/grade", json=body).json()
            assert stateless["provisional"] is True
            assert "budget" in stateless["provenance"]["error"]
            assert len(model.requests) == asked
            paper = ann.post("/api/v1/exams", json={"decks": ["mlops"], "count": 1}).json()["id"]
            sitting = ann.post(f"/api/v1/exams/{paper}/sittings", json={"name": "ann"}).json()["id"]
            ann.put(f"/api/v1/sittings/{sitting}/answers/1", json={"text": "it is a", "revision": 1})
            ann.post(f"/api/v1/sittings/{sitting}/submit")
            with Store.open(tmp_path / "freerecall.db") as store:
                noted = until(
                    lambda: [
                        grades[-1]
                        for grades in store.sitting_grades(sitting).values()
                        if grades[-1].provenance.error
                    ]
                )
            assert noted[0].provisional
            assert "budget" in noted[0].provenance.error
            assert len(model.requests) == asked
            theirs = answer(bob, "3")
            events = bob.get(f"/api/v1/answers/{theirs['answer_id']}/events").text
            assert '"decided_by":"llm"' in events
    with Store.open(tmp_path / "freerecall.db") as store:
        assert all(store.spent(learner, today) > 0 for learner in learners.values())
        assert store.pending(9, day=today, budget_usd=1e-7) == []
        assert store.pending(9, day="2999-01-01", budget_usd=1e-7) == [second["answer_id"]]


SECRET = "zyxquokka"
OWN = f"""title = "Notes on {SECRET}"
[[cards]]
id = "a"
question = "What is {SECRET}?"
reference = "A {SECRET} of mine"
tags = ["{SECRET}"]
"""


def fill(url: str, name: str) -> None:
    """Leave something of a learner's in every table that takes any."""
    one = log_in(url, name)
    deck = one.post("/api/v1/decks?name=notes.toml", content=OWN).json()["deck"]
    card = f"{deck}:a"
    edited = {"question": f"Again {SECRET}?", "reference": f"{SECRET}!", "kind": "definition"}
    one.put(f"/api/v1/cards/{card}", json=edited)
    for number, asked in enumerate((card, CARD, CARD)):
        body = {
            "card_id": asked,
            "answer": f"{SECRET} {name} {number}",
            "client_answer_id": f"{SECRET}-{number}",
        }
        given = one.post("/api/v1/practice/answers", json=body)
        assert given.status_code == 200, given.text
        override = {"rating": 4, "reason": f"{SECRET} I knew"}
        one.post(f"/api/v1/answers/{given.json()['answer_id']}/override", json=override)
    one.post(f"/api/v1/cards/{card}/hold", json={"how": "suspend"})
    one.put("/api/v1/decks/mlops/settings", json={"new_per_day": 7})
    paper = one.post("/api/v1/exams", json={"decks": [deck], "title": f"{SECRET} test"}).json()
    sitting = one.post(f"/api/v1/exams/{paper['id']}/sittings", json={"name": name}).json()["id"]
    typed = {"text": f"{SECRET} in a test", "revision": 1}
    one.put(f"/api/v1/sittings/{sitting}/answers/1", json=typed)
    one.post(f"/api/v1/sittings/{sitting}/submit")
    one.post(f"/api/v1/sittings/{sitting}/answers/1/appeal", json={"text": f"{SECRET} is right"})
    with one.stream("GET", f"/sittings/{sitting}/report"):
        pass


def dump(data: Path) -> str:
    with sqlite3.connect(data / "freerecall.db") as db:
        return "\n".join(db.iterdump())


def test_all_that_is_kept_of_a_learner_is_written_out_and_erased(
    tmp_path: Path, freerecall: Terminal
) -> None:
    learners = add_people(tmp_path, {"ann": Role.LEARNER, "bob": Role.LEARNER, "root": Role.ADMIN})
    ann = learners["ann"]
    with running_service(environment(tmp_path)) as service:
        fill(service.url, "ann")
        root, bob = log_in(service.url, "root"), log_in(service.url, "bob")
        card = f"notes.{ann}:a"
        body = {"card_id": card, "answer": f"the admin on {SECRET}", "client_answer_id": "r"}
        assert root.post("/api/v1/practice/answers", json=body).status_code == 200
        theirs = {"card_id": CARD, "answer": "bob stays", "client_answer_id": "b"}
        assert bob.post("/api/v1/practice/answers", json=theirs).status_code == 200
        service.stop()
    with Store.open(tmp_path / "freerecall.db") as store:
        store.add_cost(ann, "2026-03-01", 0.5)

    out = tmp_path / "ann.json"
    assert freerecall("user", "export", "ann", "--out", out, "--data", tmp_path).code == 0
    kept = json.loads(out.read_text())
    assert kept["account"]["name"] == "ann"
    assert {answer["text"] for answer in kept["answers"]} == {f"{SECRET} ann {number}" for number in range(3)}
    for table in ("sessions", "decks", "cards", "deck_settings", "answers", "grades", "overrides", "reviews"):
        assert kept[table], table
    for table in (
        "card_states",
        "card_flags",
        "papers",
        "sittings",
        "sitting_answers",
        "appeals",
        "spending",
    ):
        assert kept[table], table
    assert "password" not in out.read_text()
    assert "bob" not in out.read_text()

    before = dump(tmp_path)
    assert SECRET in before
    assert ann in before
    assert freerecall("user", "erase", "ann", "--data", tmp_path, typed="n\n").code == 1
    assert dump(tmp_path) == before
    assert freerecall("user", "erase", "ann", "--data", tmp_path, "--yes").code == 0

    after = dump(tmp_path)
    for word in (SECRET, ann, "notes."):
        assert word not in after, [line for line in after.splitlines() if word in line][:3]
    for file in tmp_path.glob("freerecall.db*"):
        assert SECRET.encode() not in file.read_bytes(), file
    assert "bob stays" in after
    with sqlite3.connect(tmp_path / "freerecall.db") as db:
        assert db.execute("PRAGMA foreign_key_check").fetchall() == []
    assert freerecall("doctor", "--data", tmp_path).code == 0
    listed = freerecall("user", "list", "--data", tmp_path).out
    assert "bob" in listed
    assert "ann" not in listed


def test_erasing_a_teacher_leaves_what_others_sat(store: Store) -> None:
    from freerecall import exams, library, papers

    library.load_bundled(store)
    tess = accounts.add(store, "tess", Role.TEACHER, PASSWORD, now=NOW).learner
    ann = accounts.add(store, "ann", Role.LEARNER, PASSWORD, now=NOW).learner
    sat, unsat = (
        papers.compose(store, papers.Spec(count=1, title=title), now=NOW, learner=tess) for title in "ab"
    )
    sitting = exams.start(store, sat.id, "ann", now=NOW, learner=ann)
    exams.start(store, unsat.id, "tess", now=NOW, learner=tess)
    accounts.erase(store, tess)
    assert [row[0] for row in store.papers()] == [sat.id]
    assert store.owner_of_paper(sat.id) is None
    assert store.sitting(sitting.id).learner == ann


def test_the_same_on_the_account_page(school: School) -> None:
    fill(school.url, "fay")
    cache = FileCache(school.data / "llm-cache.db")
    cache.set("key", SECRET)
    one = log_in(school.url, "fay")
    kept = one.get("/account/export")
    assert "attachment" in kept.headers["content-disposition"]
    assert len(kept.json()["answers"]) == 3
    for form in ({"password": "wrong"}, {"password": PASSWORD}, {"password": "wrong", "sure": "yes"}):
        assert one.post("/account/erase", data=form).status_code == 422
    assert SECRET in dump(school.data)
    gone = one.post("/account/erase", data={"password": PASSWORD, "sure": "yes"})
    assert gone.headers["location"] == "/login"
    assert one.get("/api/v1/sessions").status_code in (401, 404)
    assert cache.get("key") is None
    assert SECRET not in dump(school.data)


def test_accounts_from_the_terminal(tmp_path: Path, freerecall: Terminal) -> None:
    add = ("user", "add", "Ann", "--role", "teacher", "--password-stdin")
    assert "no account" in freerecall("user", "list").err
    assert "ann (teacher)" in freerecall(*add, typed=PASSWORD + "\n").out
    assert "already" in freerecall(*add, typed=PASSWORD + "\n").err
    assert "10 to 1000" in freerecall("user", "add", "bob", "--password-stdin", typed="short\n").err
    assert "--password-stdin" in freerecall("user", "add", "bob").err
    assert "learner, teacher, admin" in freerecall("user", "add", "bob", "--role", "king").err
    assert "teacher" in freerecall("user", "list").out
    assert "admin" in freerecall("user", "role", "ann", "--role", "admin").out
    assert "no session" in freerecall("user", "password", "ann", "--password-stdin", typed="x" * 12).out
    assert "0 sessions" in freerecall("user", "sessions-end", "ann").out
    for command in (("role", "--role", "admin"), ("sessions-end",), ("erase", "--yes")):
        done = freerecall("user", command[0], "nobody", *command[1:])
        assert (done.code, "no account" in done.err) == (2, True)


def test_what_was_practised_alone_goes_to_an_account(tmp_path: Path, freerecall: Terminal) -> None:
    with running_service(environment(tmp_path)) as service:
        body = {"card_id": CARD, "answer": "from before", "client_answer_id": "1"}
        given = httpx.post(f"{service.url}/api/v1/practice/answers", json=body).json()["answer_id"]
        path = f"/api/v1/answers/{given}"
        add = ("user", "add", "ann", "--role", "admin", "--local", "--password-stdin", "--data", tmp_path)
        assert freerecall(*add, typed=PASSWORD + "\n").code == 0
        assert httpx.get(f"{service.url}{path}").status_code == 401
        assert log_in(service.url, "ann").get(path).json()["answer"] == "from before"


def test_a_store_from_before_accounts_is_brought_up_to_date(tmp_path: Path) -> None:
    path = tmp_path / "freerecall.db"
    old = Database(path)
    migrations.apply(old, stop_before="m004_accounts")
    with old.conn:
        old.execute("INSERT INTO decks VALUES ('d', 'Deck', '', 0)")
        old.execute("INSERT INTO papers VALUES ('p', 'Paper', '{}', NULL, '2026-01-01')")
        old.execute(
            "INSERT INTO sittings (id, paper_id, name, started_at) VALUES ('s', 'p', 'me', '2026-01-01')"
        )
    old.close()
    with Store.open(path) as store:
        assert store.owner_of_deck("d") is None
        assert store.owner_of_paper("p") == "local"
        assert store.sitting("s").learner is None
