"""Every route, as nobody, as somebody else, with too small a role, and as whom it is for."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from freerecall.access import Role
from freerecall.api.app import create_app
from freerecall.settings import load
from people import PASSWORD, add_people, client, log_all_in
from service_process import environment, running_service

PEOPLE = {
    "ann": Role.LEARNER,
    "bob": Role.LEARNER,
    "tess": Role.TEACHER,
    "theo": Role.TEACHER,
    "root": Role.ADMIN,
}
SHARED = "mlops"
ANNS = "What is x to Ann?"
DECK = f'title = "Ann\'s own"\n[[cards]]\nid = "x"\nquestion = "{ANNS}"\nreference = "A letter"\n'


@dataclass(frozen=True)
class Rule:
    """Who owns what the route is about, who gets 404, who gets 403, and what to send.

    `owner` None: there is no positive control here, for it would end what other cases need.
    """

    owner: str | None = "ann"
    hidden_from: tuple[str, ...] = ()
    forbidden_to: tuple[str, ...] = ()
    open: bool = False
    sent: dict[str, Any] = field(default_factory=dict)


FREE = Rule("nobody", open=True)
OWN = Rule("ann")
DECK_RULE = Rule("ann", hidden_from=("bob", "theo"))
ANSWER = Rule("ann", hidden_from=("bob", "theo", "root"))
PAPER = Rule("tess", hidden_from=("ann", "theo"))
CLASS = Rule("tess", hidden_from=("theo",), forbidden_to=("ann",))
SITTING = Rule("ann", hidden_from=("bob", "theo", "tess", "root"))
REPORT = Rule("ann", hidden_from=("bob", "theo"))
ADMIN = Rule("root", forbidden_to=("ann", "tess"))
CARD_JSON = {"question": "What is x?", "reference": "A letter", "kind": "definition"}
SUBMITTED = {"card_id": "{card_id}", "client_answer_id": "walk", "answer": "a letter"}
MARK = {"sitting_id": "{sitting_id}", "number": 1, "rating": 4}

RULES = {
    "GET /healthz": FREE,
    "GET /readyz": FREE,
    "GET /api/v1/healthz": FREE,
    "GET /static/style.css": FREE,
    "GET /login": FREE,
    "POST /login": Rule("nobody", open=True, sent={"data": {"name": "bob", "password": PASSWORD}}),
    "GET /sit/{code}": FREE,
    "POST /sit/{code}": Rule("nobody", open=True, sent={"data": {"name": "Eve"}}),
    "POST /api/v1/exams/code/{code}/sittings": Rule("nobody", open=True, sent={"json": {"name": "Eve"}}),
    "GET /api/v1/openapi.json": OWN,
    "POST /api/v1/grade": Rule("ann", sent={"json": {"question": "?", "reference": "a", "answer": "a"}}),
    "GET /api/v1/decks": OWN,
    "POST /api/v1/decks": Rule("ann", sent={"content": DECK, "params": {"name": "own.toml"}}),
    "GET /api/v1/decks/{deck_id}/cards": DECK_RULE,
    "GET /api/v1/decks/{deck_id}/settings": DECK_RULE,
    "PUT /api/v1/decks/{deck_id}/settings": Rule("ann", ("bob", "theo"), sent={"json": {"new_per_day": 9}}),
    "GET /api/v1/practice/next": Rule("ann", ("bob", "theo"), sent={"params": {"deck": "{deck_id}"}}),
    "POST /api/v1/practice/answers": Rule("ann", ("bob", "theo"), sent={"json": SUBMITTED}),
    "GET /api/v1/answers/{answer_id}": ANSWER,
    "GET /api/v1/answers/{answer_id}/events": ANSWER,
    "POST /api/v1/answers/{answer_id}/override": Rule(
        "ann", ("bob", "theo", "root"), sent={"json": {"rating": 4}}
    ),
    "POST /api/v1/answers/{answer_id}/undo": Rule(None, ("bob", "theo", "root")),
    "GET /api/v1/cards/{card_id}": DECK_RULE,
    "GET /api/v1/cards/{card_id}/hint": DECK_RULE,
    "POST /api/v1/cards/{card_id}/hold": Rule("ann", ("bob", "theo"), sent={"json": {"how": "release"}}),
    "PUT /api/v1/cards/{card_id}": Rule("ann", ("bob", "theo"), sent={"json": CARD_JSON}),
    "GET /api/v1/statistics": Rule("ann", ("bob", "theo"), sent={"params": {"deck": "{deck_id}"}}),
    "GET /api/v1/exams": OWN,
    "POST /api/v1/exams": Rule("ann", ("bob", "theo", "root"), sent={"json": {"decks": ["{deck_id}"]}}),
    "POST /api/v1/exams/file": Rule("ann", sent={"content": "{paper_file}"}),
    "GET /api/v1/exams/{paper_id}": PAPER,
    "GET /api/v1/exams/{paper_id}/file": PAPER,
    "POST /api/v1/exams/{paper_id}/sittings": Rule("tess", ("ann", "theo"), sent={"json": {"name": "t"}}),
    "POST /api/v1/exams/{paper_id}/publish": CLASS,
    "GET /api/v1/exams/{paper_id}/class": CLASS,
    "POST /api/v1/exams/{paper_id}/marks": Rule("tess", ("theo",), ("ann",), sent={"json": MARK}),
    "POST /api/v1/exams/{paper_id}/regrade": CLASS,
    "GET /api/v1/exams/{paper_id}/gradebook.csv": CLASS,
    "GET /api/v1/exams/{paper_id}/gold.jsonl": CLASS,
    "GET /api/v1/sittings/{sitting_id}": SITTING,
    "PUT /api/v1/sittings/{sitting_id}/answers/{number}": SITTING,
    "POST /api/v1/sittings/{sitting_id}/submit": SITTING,
    "POST /api/v1/sittings/{sitting_id}/answers/{number}/appeal": SITTING,
    "GET /api/v1/sittings/{sitting_id}/report": REPORT,
    "GET /": OWN,
    "GET /statistics": Rule("ann", ("bob", "theo"), sent={"params": {"deck": "{deck_id}"}}),
    "GET /practice": Rule("ann", ("bob", "theo"), sent={"params": {"card": "{card_id}"}}),
    "GET /practice/{deck_id}": DECK_RULE,
    "POST /practice": Rule("ann", ("bob", "theo"), sent={"data": SUBMITTED}),
    "POST /practice/{deck_id}": Rule("ann", ("bob", "theo"), sent={"data": SUBMITTED}),
    "POST /hold": Rule("ann", ("bob", "theo"), sent={"data": {"card_id": "{card_id}", "how": "release"}}),
    "POST /hold/{deck_id}": Rule(
        "ann", ("bob", "theo"), sent={"data": {"card_id": "{card_id}", "how": "release"}}
    ),
    "GET /answers/{answer_id}": ANSWER,
    "POST /answers/{answer_id}/override": Rule("ann", ("bob", "theo", "root"), sent={"data": {"rating": 4}}),
    "POST /answers/{answer_id}/undo": Rule(None, ("bob", "theo", "root")),
    "POST /undo": Rule("bob"),
    "POST /undo/{deck_id}": Rule("bob"),
    "GET /decks/{deck_id}": DECK_RULE,
    "POST /decks/{deck_id}/settings": DECK_RULE,
    "POST /decks/{deck_id}/fit": DECK_RULE,
    "GET /decks/{deck_id}/export": DECK_RULE,
    "GET /cards/{card_id}": DECK_RULE,
    "POST /cards/{card_id}": Rule("ann", ("bob", "theo"), sent={"data": CARD_JSON}),
    "GET /import": OWN,
    "POST /import": Rule("ann", sent={"files": {"file": ("own.toml", DECK)}}),
    "POST /import/{key}": ANSWER,
    "GET /exams": OWN,
    "POST /exams": OWN,
    "GET /exams/{paper_id}": PAPER,
    "POST /exams/{paper_id}/publish": CLASS,
    "POST /exams/{paper_id}/sittings": Rule("tess", ("ann", "theo"), sent={"data": {"name": "t"}}),
    "POST /exams/{paper_id}/marks": Rule("tess", ("theo",), ("ann",), sent={"data": MARK}),
    "GET /sittings/{sitting_id}": SITTING,
    "POST /sittings/{sitting_id}": SITTING,
    "GET /sittings/{sitting_id}/report": REPORT,
    "GET /sittings/{sitting_id}/report.csv": REPORT,
    "GET /sittings/{sitting_id}/report.pdf": REPORT,
    "POST /sittings/{sitting_id}/appeal": SITTING,
    "POST /sittings/{sitting_id}/schedule": SITTING,
    "POST /logout": Rule(None),
    "GET /account": OWN,
    "POST /account/password": OWN,
    "POST /account/sessions/end": Rule(None),
    "GET /account/export": OWN,
    "POST /account/erase": OWN,
    "GET /metrics": ADMIN,
    "GET /people": ADMIN,
    "POST /people": ADMIN,
    "POST /people/{name}": ADMIN,
}


@dataclass(frozen=True)
class World:
    url: str
    clients: dict[str, httpx.Client]
    names: dict[str, str]

    def send(self, who: str, route: str, rule: Rule) -> httpx.Response:
        method, path = route.split(" ")
        sender = client(self.url) if who == "nobody" else self.clients[who]
        return sender.request(
            method, self.filled(path), **{name: self.filled(value) for name, value in rule.sent.items()}
        )

    def filled(self, value: Any) -> Any:
        """Put the names of real things into what is to be sent."""
        if isinstance(value, str):
            for name, known in self.names.items():
                value = value.replace(f"{{{name}}}", known)
            return value
        if isinstance(value, dict):
            return {key: self.filled(one) for key, one in value.items()}
        if isinstance(value, list | tuple):
            return type(value)(self.filled(one) for one in value)
        return value


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    data = tmp_path_factory.mktemp("access")
    add_people(data, PEOPLE)
    with running_service(environment(data, FREERECALL_RATE="0")) as service:
        clients = log_all_in(service.url, list(PEOPLE))
        ann, tess = clients["ann"], clients["tess"]
        deck = ann.post("/api/v1/decks?name=own.toml", content=DECK).json()["deck"]
        card = ann.get(f"/api/v1/decks/{deck}/cards").json()[0]["id"]
        answer = {"card_id": card, "answer": "a letter", "client_answer_id": "first"}
        given = ann.post("/api/v1/practice/answers", json=answer).json()
        paper = tess.post("/api/v1/exams", json={"decks": [SHARED], "count": 2}).json()
        code = tess.post(f"/api/v1/exams/{paper['id']}/publish").json()["code"]
        sitting = ann.post(f"/api/v1/exams/code/{code}/sittings", json={"name": "?"}).json()
        ann.post(f"/api/v1/sittings/{sitting['id']}/submit")
        preview = ann.post("/import", files={"file": ("own.toml", DECK)}).text
        names = {
            "deck_id": deck,
            "card_id": card,
            "answer_id": given["answer_id"],
            "paper_id": paper["id"],
            "paper_file": json.dumps(tess.get(f"/api/v1/exams/{paper['id']}/file").json()),
            "code": code,
            "sitting_id": sitting["id"],
            "number": "1",
            "key": preview.split('action="/import/')[1].split('"')[0],
            "name": "ann",
        }
        yield World(service.url, clients, names)


def routes() -> set[str]:
    """Return "METHOD path" of everything that the application answers to."""

    def walk(found: Any) -> Iterator[Any]:
        for route in found:
            inner = getattr(route, "original_router", None)
            yield from walk(inner.routes) if inner else (route,)

    return {
        f"{method} {route.path}{'/style.css' if route.path == '/static' else ''}"
        for route in walk(create_app(load()).routes)
        for method in (getattr(route, "methods", None) or {"GET"}) - {"HEAD"}
    }


def test_every_route_has_a_rule() -> None:
    assert routes() == set(RULES)


_TOLD_401 = ("/api/", "/metrics", "{sitting_id}")


@pytest.mark.parametrize("route", RULES)
def test_nobody_gets_in(world: World, route: str) -> None:
    rule = RULES[route]
    reply = world.send("nobody", route, rule)
    if rule.open:
        assert reply.status_code not in (401, 403)
        assert reply.headers.get("location") != "/login"
    elif route.startswith("GET /") and not any(part in route for part in _TOLD_401):
        assert (reply.status_code, reply.headers["location"]) == (303, "/login")
    else:
        assert reply.status_code == 401


@pytest.mark.parametrize("route", [route for route, rule in RULES.items() if rule.hidden_from])
def test_what_is_anothers_is_not_there(world: World, route: str) -> None:
    for who in RULES[route].hidden_from:
        reply = world.send(who, route, RULES[route])
        assert reply.status_code == 404, (who, reply.text)


@pytest.mark.parametrize("route", [route for route, rule in RULES.items() if rule.forbidden_to])
def test_a_missing_role_is_told(world: World, route: str) -> None:
    for who in RULES[route].forbidden_to:
        reply = world.send(who, route, RULES[route])
        assert reply.status_code == 403, (who, reply.text)


@pytest.mark.parametrize("route", [route for route, rule in RULES.items() if rule.owner])
def test_whom_it_is_for_gets_in(world: World, route: str) -> None:
    rule = RULES[route]
    assert rule.owner
    reply = world.send(rule.owner, route, rule)
    assert reply.status_code not in (401, 403, 404, 429, 500), reply.text
    assert reply.headers.get("location") != "/login"


def test_a_shared_deck_is_everybodys_to_use_and_teachers_to_change(world: World) -> None:
    card = world.clients["ann"].get(f"/api/v1/decks/{SHARED}/cards?limit=1").json()[0]
    sent = {name: card[name] for name in ("question", "reference", "kind")}
    form = {**sent, "action": "save"}
    for who in ("ann", "bob"):
        assert world.clients[who].get(f"/cards/{card['id']}").status_code == 200
        assert "Save" not in world.clients[who].get(f"/cards/{card['id']}").text
        assert world.clients[who].put(f"/api/v1/cards/{card['id']}", json=sent).status_code == 403
        assert world.clients[who].post(f"/cards/{card['id']}", data=form).status_code == 403
    for who in ("tess", "root"):
        assert "Save" in world.clients[who].get(f"/cards/{card['id']}").text
        assert world.clients[who].put(f"/api/v1/cards/{card['id']}", json=sent).status_code == 200


def test_a_learners_import_takes_nobodys_place(world: World) -> None:
    ann, bob, tess = (world.clients[name] for name in ("ann", "bob", "tess"))
    title = 'title = "Mine"\nid = "mlops"\n' + DECK.replace(" to Ann", "").split("\n", 1)[1]
    own = [one.post("/api/v1/decks?name=m.toml", content=title).json()["deck"] for one in (ann, bob)]
    assert len({*own, SHARED}) == 3
    assert ann.post("/api/v1/decks?name=m.toml", content=title).json()["unchanged"] == 1
    again = ann.get(f"/decks/{own[0]}/export").content
    assert ann.post("/api/v1/decks?name=m.toml", content=again).json()["deck"] == own[0]
    for one, seen, hidden in ((ann, own[0], own[1]), (bob, own[1], own[0])):
        listed = {deck["id"] for deck in one.get("/api/v1/decks").json()}
        assert {seen, SHARED} <= listed
        assert hidden not in listed
        assert hidden not in one.get("/exams").text + one.get("/statistics").text + one.get("/").text
    assert not {deck["id"] for deck in tess.get("/api/v1/decks").json()} & set(own)
    assert tess.post("/api/v1/decks?name=m.toml", content=again).status_code == 409


def test_another_learners_things_are_not_reached_by_a_query(world: World) -> None:
    bob, names = world.clients["bob"], world.names
    for path in (
        f"/practice?again={names['answer_id']}",
        f"/practice?card={names['card_id']}",
        f"/statistics?deck={names['deck_id']}",
        f"/practice/{names['deck_id']}?only=cram",
    ):
        assert bob.get(path).status_code == 404, path
    asked = bob.get("/api/v1/practice/next?only=cram&seed=1&session=s").json()["card"]["id"]
    assert asked.split(":")[0] != names["deck_id"]
    spec = {"decks": [], "count": 200}
    drawn = bob.post("/api/v1/exams", json=spec).json()
    questions = {one["question"] for one in drawn["questions"]}
    assert len(questions) > 60
    assert ANNS not in questions


def test_a_papers_file_does_not_open_anothers_paper(world: World) -> None:
    bob = world.clients["bob"]
    content = json.loads(world.names["paper_file"])
    content["spec"]["title"] = "Bob's"
    made = bob.post("/api/v1/exams/file", content=json.dumps(content))
    assert made.status_code == 201
    assert made.json()["title"] == "Bob's"
    assert made.json()["id"] != content["id"]
    assert [row["title"] for row in bob.get("/api/v1/exams").json()].count("Bob's") == 1
    assert bob.post("/api/v1/exams/file", content=json.dumps(content)).json() == made.json()
    theirs = world.clients["tess"].get(f"/api/v1/exams/{content['id']}").json()
    assert theirs["title"] != "Bob's"


def test_a_sitting_by_code_is_its_learners_where_somebody_is_logged_in(world: World) -> None:
    url = f"/api/v1/exams/code/{world.names['code']}/sittings"
    anonymous = client(world.url)
    without = anonymous.post(url, json={"name": "Eve"}).json()
    assert anonymous.get(f"/api/v1/sittings/{without['id']}").status_code == 200
    own = world.clients["bob"].post(url, json={"name": "Somebody else"}).json()
    assert own["name"] == "bob"
    assert anonymous.get(f"/api/v1/sittings/{own['id']}").status_code == 401
    world.clients["bob"].post(f"/api/v1/sittings/{own['id']}/submit")
    for who, status in (("bob", 200), ("tess", 200), ("root", 200), ("ann", 404), ("theo", 404)):
        assert world.clients[who].get(f"/sittings/{own['id']}/report").status_code == status, who
    assert "Not fair?" in world.clients["bob"].get(f"/sittings/{own['id']}/report").text
    assert "Not fair?" not in world.clients["tess"].get(f"/sittings/{own['id']}/report").text


def test_uploads_of_one_do_not_push_out_anothers(world: World) -> None:
    def upload(who: str) -> str:
        page = world.clients[who].post("/import", files={"file": ("u.toml", DECK)}).text
        return page.split('action="/import/')[1].split('"')[0]

    kept = upload("bob")
    for _ in range(9):
        upload("theo")
    assert world.clients["theo"].post(f"/import/{kept}").status_code == 404
    assert world.clients["bob"].post(f"/import/{kept}").status_code == 303
