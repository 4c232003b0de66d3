"""The kind and the key points of a plain question and reference."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freerecall.cards import Card, Kind
from freerecall.derive import kind_of, list_items, points_of
from freerecall.wording import form_of


def texts(question: str, reference: str, kind: Kind | None = None) -> list[str]:
    return [point.text for point in points_of(question, reference, kind)]


@pytest.mark.parametrize(
    ("question", "reference", "kind"),
    [
        ("What is a knot?", "A fastening in a rope", Kind.DEFINITION),
        ("True or false: ropes float.", "FALSE", Kind.TRUE_FALSE),
        ("True/False: ropes float.", "False. They soak.", Kind.TRUE_FALSE),
        ("Do ropes float?", "No", Kind.TRUE_FALSE),
        ("Do ropes float?", "No. They soak up water.", Kind.TRUE_FALSE),
        ("In fresh water, does a rope float?", "Yes, it does.", Kind.TRUE_FALSE),
        ("Do ropes float?", "No rope does for long.", Kind.DEFINITION),
        ("What did the sailor say?", "No, it sinks.", Kind.DEFINITION),
        ("A rope is made of ____.", "fibres", Kind.CLOZE),
        ("Fill in the blank: a rope is made of …", "fibres", Kind.CLOZE),
        ("Name two knots", "* reef * bowline", Kind.LIST),
        ("Name two knots", "reef and bowline", Kind.LIST),
        ("What knots are there?", "- reef\n- bowline", Kind.LIST),
        ("Which problems does the cycle have?", "- wear\n- slip", Kind.LIST),
        ("What are the goals of the process?", "- safety\n- speed", Kind.LIST),
        ("In the second step, what do you check?", "- wear\n- slip", Kind.LIST),
        ("What changes?", "- slow → fast\n- weak → strong", Kind.LIST),
        ("What are the steps?", "- loop\n- tuck\n- pull", Kind.ORDERED_LIST),
        ("Describe the life cycle of a rope", "1. twist\n2. use\n3. retire", Kind.ORDERED_LIST),
        ("In what order do you tie it?", "* loop * tuck * pull", Kind.ORDERED_LIST),
        ("What do you do in order to tie it?", "* loop * tuck * pull", Kind.LIST),
        ("How is it tied?", "loop → tuck → pull", Kind.ORDERED_LIST),
        ("How is it tied?", "- Step 1: loop\n- Step 2: tuck", Kind.ORDERED_LIST),
        ("What is the first step?", "Make a loop", Kind.DEFINITION),
        ("What is it for?", "It joins two ropes, and it holds.", Kind.DEFINITION),
    ],
)
def test_kinds(question: str, reference: str, kind: Kind) -> None:
    assert kind_of(question, reference) is kind


@pytest.mark.parametrize(
    ("reference", "items"),
    [
        ("• a\n• b", ("a", "b")),
        ("* a * b * c", ("a", "b", "c")),
        ("To do:\n* a\n* b", ("a", "b")),
        ("To do: * a * b", ("a", "b")),
        ("1. a\n2) b", ("a", "b")),
        ("1. a 2. b 3. c", ("a", "b", "c")),
        ("- a\n  and more\n- b", ("a and more", "b")),
        ("Reef\nBowline", ("Reef", "Bowline")),
        ("- one only", ("one only",)),
        ("2 * 3 is 6", ()),
        ("A knot that\nholds", ()),
        ("It holds.\nIt slips.", ()),
        ("well-known – and old", ()),
        ("", ()),
    ],
)
def test_list_layouts(reference: str, items: tuple[str, ...]) -> None:
    assert list_items(reference) == items


@pytest.mark.parametrize(
    ("reference", "points"),
    [
        ("If one lamp fails the others stay lit.", ["If one lamp fails the others stay lit."]),
        ("No. Only one path is closed at a time.", ["No. Only one path is closed at a time."]),
        (
            "Warm air rises. Cool air sinks. So it circulates.",
            ["Warm air rises.", "Cool air sinks. So it circulates."],
        ),
        ("It grows, e.g. Beans do.", ["It grows, e.g. Beans do."]),
        ("Rope = strong; Thread = thin", ["Rope = strong", "Thread = thin"]),
        ("Check wear, knots, frayed ends", ["Check wear", "Check knots", "Check frayed ends"]),
        ("The way crews tie, check and replace the ropes of a ship", None),
        ("How strong, safe, and light it is", None),
        ("Using it at sea (tug, ferry, yacht, etc.)", None),
        ("'Does it hold?'", ["Does it hold?"]),
    ],
)
def test_points_of_prose(reference: str, points: list[str] | None) -> None:
    assert texts("What of it?", reference) == (points or [reference])


def test_at_most_a_few_points_of_prose() -> None:
    reference = " ".join(f"Part {word} is true." for word in "ABCDEFGHIJ")
    found = texts("What is true?", reference)
    assert len(found) == 6
    assert " ".join(found) == reference


@pytest.mark.parametrize(
    ("item", "accepted"),
    [
        ("Search And Rescue (SAR)", {"SAR", "Search And Rescue"}),
        ("SAR (search and rescue)", {"SAR", "search and rescue"}),
        ("DaaS – Desktop", {"DaaS", "Desktop", "Desktop as a service"}),
        ("Wear (nylon, hemp)", {"Wear"}),
        ("Deck / dock crew", {"Deck crew", "dock crew"}),
        ("Untie / cut", {"Untie", "cut"}),
        ("Fast → slow", set()),
        ("A/B comparison", set()),
        ("Splicing – joins two ends", set()),
    ],
)
def test_other_wordings_of_an_item(item: str, accepted: set[str]) -> None:
    point = points_of("Name some", f"- {item}\n- other")[0]
    assert point.text == item
    assert set(point.accept) == accepted


def test_true_false_accepts_how_people_say_it() -> None:
    (false,) = points_of("True or false: x", "FALSE")
    (true,) = points_of("True or false: x", "true")
    assert (false.text, true.text) == ("False", "True")
    assert {"No", "Not true", "Incorrect"} <= set(false.accept)
    assert {"Yes", "Correct"} <= set(true.accept)


def test_a_reason_is_a_key_point_where_it_is_asked_for() -> None:
    assert texts("Do ropes float?", "No. They soak up water.") == ["No"]
    assert texts("Do ropes float, and why?", "No. They soak up water.") == ["No", "They soak up water."]
    assert texts("Ropes float: true or false, and why?", "False, they soak.") == ["False", "they soak."]


@pytest.mark.parametrize(
    ("question", "reference", "form"),
    [
        ("What is a knot?", "A fastening in a rope", ""),
        ("Do ropes float?", "No, they sink.", "yes or no"),
        ("Do ropes float, and why?", "No, they soak up water.", "yes or no, and why"),
        ("Ropes float: true or false?", "False", "true or false"),
        ("A rope is made of ____.", "fibres", "fill in the blank"),
    ],
)
def test_a_question_says_what_form_of_answer_it_wants(question: str, reference: str, form: str) -> None:
    kind = kind_of(question, reference)
    assert form_of(Card("d:1", question, reference, kind, points_of(question, reference, kind))) == form


def test_blanks_are_filled_one_by_one() -> None:
    assert texts("A ____ and a ____.", "reef; bowline") == ["reef", "bowline"]
    assert texts("A ____.", "reef, or bowline") == ["reef, or bowline"]


def test_the_kind_given_decides() -> None:
    assert texts("Knots?", "reef, bowline and sheet bend", Kind.LIST) == ["reef", "bowline", "sheet bend"]
    assert texts("Knots?", "reef, bowline and sheet bend", Kind.DEFINITION) == [
        "reef, bowline and sheet bend"
    ]
    assert texts("Knots?", "loop -> tuck", Kind.ORDERED_LIST) == ["loop", "tuck"]


def test_the_same_item_twice_is_one_point() -> None:
    assert texts("Name some", "- Reef\n- reef\n- bowline") == ["Reef", "bowline"]


@given(st.text(max_size=200), st.text(max_size=200), st.none() | st.sampled_from(Kind))
def test_any_text_has_points_unless_blank(question: str, reference: str, kind: Kind | None) -> None:
    points = points_of(question, reference, kind)
    assert bool(points) == bool(reference.strip())
    assert all(point.text.strip() and all(one.strip() for one in point.accept) for point in points)


@pytest.mark.parametrize(
    "unit", ["a. A. ", " ", "(", "-", "what ", "* ", "1. ", "a, ", "_", "→ ", "\n", "A; ", "x\n"]
)
def test_the_longest_references_are_read_too(unit: str) -> None:
    reference = unit * (10_000 // len(unit))
    assert points_of(reference, reference) or not reference.strip()
