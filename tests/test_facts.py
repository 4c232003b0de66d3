"""One short fact is right or wrong: figures, quantities, dates, formulas, verdicts, guesses."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from freerecall.cards import Kind
from freerecall.grades import Verdict
from freerecall.grading import ad_hoc_card, grade_embedded
from freerecall.grading.formulas import agrees
from freerecall.grading.quantities import parse

LIGHT = ("How fast does light travel in a vacuum?", "about 300,000 km/s")
MOON = ("On what date did Apollo 11 land on the Moon?", "20 July 1969")
NEWTON = ("Newton's second law as a formula?", "F = ma")
VACUUM = ("Does sound travel through a vacuum?", "No, it doesn't.")


def rating(question: str, reference: str, answer: str) -> int:
    return grade_embedded(ad_hoc_card(question, reference), answer).rating


@pytest.mark.parametrize(
    ("card", "answer", "wanted"),
    [
        (LIGHT, "3e8 m/s", {5}),
        (LIGHT, "186,000 miles per second", {5}),
        (LIGHT, "light travels at three hundred thousand km per second", {5}),
        (LIGHT, "299,792 km/s", {5}),
        (LIGHT, "300 million metres a second", {5}),
        (LIGHT, "300,000 m/s", {2}),
        (LIGHT, "300,000 km/h", {2}),
        (LIGHT, "3 million km/s", {1}),
        (("What is absolute zero?", "−273.15 °C"), "0 K", {5}),
        (("What is absolute zero?", "−273.15 °C"), "-459.67 °F", {5}),
        (("What is absolute zero?", "−273.15 °C"), "-273", {4}),
        (("What is absolute zero?", "−273.15 °C"), "273.15", {1}),
        (("How long does sunlight take to reach us?", "About eight minutes"), "500 seconds", {5}),
        (("How long does sunlight take to reach us?", "About eight minutes"), "8 min 20 s", {5}),
        (("How long does sunlight take to reach us?", "About eight minutes"), "eight hours", {2}),
        (("What is Avogadro's number?", "6.02 × 10²³"), "6.02e23", {5}),
        (("What is Avogadro's number?", "6.02 × 10²³"), "6.02 x 10^-23", {1}),
        (("How high is it?", "8,849 m"), "8.849 km", {5}),
        (("How high is it?", "8,849 m"), "8489 m", {1}),
        (("How high is it?", "8,849 m"), "about 8800 m", {4}),
    ],
)
def test_a_quantity_is_what_it_comes_to(card: tuple[str, str], answer: str, wanted: set[int]) -> None:
    assert rating(*card, answer) in wanted


@pytest.mark.parametrize(
    ("answer", "wanted"),
    [
        ("july 20th 1969", 5),
        ("20.7.1969", 5),
        ("7/20/1969", 5),
        ("1969-07-20", 5),
        ("july 1969", 4),
        ("1969", 3),
        ("20 june 1969", 1),
        ("16 july 1969", 1),
        ("20 july 1996", 1),
    ],
)
def test_a_date_is_right_less_exact_or_another(answer: str, wanted: int) -> None:
    assert rating(*MOON, answer) == wanted


@pytest.mark.parametrize(
    ("reference", "right", "wrong"),
    [
        ("F = ma", ["a = F/m", "f=m*a", "ma", "it's F = m·a"], ["a = m/F", "F = m + a"]),
        ("E = mc²", ["e=mc2", "m c squared", "m*c**2"], ["E = mc", "E = mc^3"]),
        ("KE = ½mv²", ["1/2 m v^2", "mv²/2", "0.5*m*v*v"], ["mv^2", "1/2 m v"]),
        ("T² ∝ a³", ["t^2 is proportional to a^3"], ["T^3 ~ a^2", "T² ∝ a²"]),
        ("O(n log n)", ["n log n", "o(n log(n))"], ["O(n)", "n^2"]),
        ("It is O(n log n).", ["n log n"], ["O(log n)", "O(n²)"]),
        ("σ/√n", ["sqrt(σ²/n)", "σ/n^0.5"], ["σ/n"]),
        ("-b/2a", ["-b/(2a)"], ["b/2a"]),
        (
            "Assets = Liabilities + Equity",
            ["equity = assets - liabilities", "A = L + E", "assets equals liabilities plus equity"],
            ["assets = liabilities - equity"],
        ),
        (
            "Current assets / current liabilities",
            ["current assets divided by current liabilities"],
            ["current liabilities / current assets", "current assets minus current liabilities"],
        ),
    ],
)
def test_a_formula_is_what_it_computes(reference: str, right: list[str], wrong: list[str]) -> None:
    question = "What is the formula?"
    assert [answer for answer in right if not agrees(answer, reference, question)] == []
    assert [answer for answer in wrong if agrees(answer, reference, question) is not False] == []
    card = ad_hoc_card(question, reference)
    assert {grade_embedded(card, answer).rating for answer in right} == {5}
    assert max(grade_embedded(card, answer).rating for answer in wrong) <= 2


@pytest.mark.parametrize(
    "reference", ["C++", "he/she", "TCP/IP", "T-cell", "and/or", "Marie Curie", "42", "9^9^9^9 = x"]
)
def test_what_is_no_formula_is_told_by_its_words(reference: str) -> None:
    assert agrees("x = 1", reference) is None
    assert agrees("something else", reference) is None
    assert agrees("elevator / lift", "lift / elevator", "What is it called?") is None


@settings(deadline=None)  # the first answer loads the units
@given(st.text(alphabet="abxyπ²³√+-*/^()=. 0123456789ehlogsqrt", max_size=60))
def test_any_typing_is_read_as_a_formula_or_none(answer: str) -> None:
    assert agrees(answer, "y = a x^2 + b") in (True, False, None)
    parse(answer)


@settings(deadline=None)  # the first answer loads the units
@given(st.floats(0.01, 1e6), st.sampled_from(["km", "m", "mi", "ft", "cm"]))
def test_a_length_is_the_same_in_any_unit(length: float, unit: str) -> None:
    metres = {"km": 1000.0, "m": 1.0, "mi": 1609.344, "ft": 0.3048, "cm": 0.01}[unit] * length
    assert rating("How long is it?", f"{metres:.6f} m", f"{length:.6f} {unit}") == 5


@pytest.mark.parametrize(
    "answer",
    [
        "no",
        "nope",
        "it doesn't",
        "it can't",
        "of course not",
        "false",
        "sound cannot travel through a vacuum",
        "flase",
    ],
)
def test_no_in_any_words_is_no(answer: str) -> None:
    assert rating(*VACUUM, answer) == 5


@pytest.mark.parametrize("answer", ["yes", "it does", "sound can travel through a vacuum", "yess", "true"])
def test_yes_in_any_words_is_not_no(answer: str) -> None:
    assert rating(*VACUUM, answer) == 1


@pytest.mark.parametrize(
    ("question", "reference", "answers"),
    [
        ("Is zero an even number?", "Yes, it is.", {"zero is even": 5, "it is": 5, "odd": 1, "it isn't": 1}),
        ("Do all metals conduct electricity?", "Yes", {"all of them do": 5, "most of them": 1, "not all": 1}),
        ("Is zero an even number?", "Yes.", {"yes and no": 2}),
        ("Marble is a metamorphic rock. True or false?", "True", {"ture": 5, "it is metamorphic, yes": 5}),
        ("A model never needs retraining: true or false, and why?", "False, data drifts.", {"false": 4}),
    ],
)
def test_verdicts_of_yes_no_questions(question: str, reference: str, answers: dict[str, int]) -> None:
    assert ad_hoc_card(question, reference).kind is Kind.TRUE_FALSE
    assert {answer: rating(question, reference, answer) for answer in answers} == answers


@pytest.mark.parametrize(
    ("question", "reference", "answer"),
    [
        ("What is the capital of Australia?", "Canberra", "sydney or canberra"),
        ("In which year did Einstein publish special relativity?", "1905", "1905 or 1915"),
        ("What is the chemical symbol for sodium?", "Na", "Na or Ni"),
        ("the bridge (Spanish)", "el puente", "el puente o el puerto"),
    ],
)
def test_two_guesses_are_no_answer(question: str, reference: str, answer: str) -> None:
    assert rating(question, reference, answer) == 2


def test_a_fact_that_is_right_is_shown_whole() -> None:
    (shown,) = grade_embedded(ad_hoc_card(*NEWTON), " a = F/m ").evidence
    assert (shown.quote, shown.verdict, shown.coverage) == ("a = F/m", Verdict.COVERED, 1.0)


def test_what_is_denied_does_not_fill_a_gap() -> None:
    assert rating("The Edict of ____ ended the wars.", "Nantes", "nantes") == 5
    assert rating("The Edict of ____ ended the wars.", "Nantes", "not nantes") <= 2


def test_one_thing_in_two_names_is_no_guess() -> None:
    card = ad_hoc_card("Which bone is the longest?", "the femur", references=("thigh bone",))
    assert grade_embedded(card, "femur or thigh bone").rating >= 4


def test_the_choice_that_a_question_offers_is_an_answer() -> None:
    card = ("Is velocity a vector or a scalar?", "A vector.")
    assert rating(*card, "vector") == 5
    assert rating(*card, "scalar") <= 2


def test_what_sounds_like_giving_up_may_be_the_answer() -> None:
    assert rating("What is the chemical symbol for sodium?", "Na", "na") == 5
    assert rating("Who was king?", "Charles", "na") == 1
