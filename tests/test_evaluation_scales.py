"""Gold rows of anyone's own: CSV, and ratings on any scale."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freerecall.errors import InputError
from freerecall.evaluation.rows import BadRow, Row, read_rows
from freerecall.evaluation.scales import Scale, nearest, scale_of
from freerecall.grades import RATINGS
from terminal import Terminal


@pytest.mark.parametrize(
    ("text", "values", "ratings"),
    [
        ("0-10", [0, 2.4, 5, "7,5", 10], [1, 2, 3, 4, 5]),
        ("6-1", [6, 3.5, 1], [1, 3, 5]),
        ("-1..1", [-1, 0, 1], [1, 3, 5]),
        ("0-3", [0, 1, 2, 3], [1, 2, 4, 5]),
        ("1-5", ["4", 4.5], [4, 5]),
        ("wrong, partly, Right", ["WRONG", "partly", "right"], [1, 3, 5]),
        ("F,D,C,B,A", ["F", "D", "C", "B", "A"], [1, 2, 3, 4, 5]),
    ],
)
def test_a_scale_becomes_ours(text: str, values: list[object], ratings: list[int]) -> None:
    scale = scale_of(text)
    assert [scale.rating(value) for value in values] == ratings


@pytest.mark.parametrize("text", ["", "3", "1-1", "a", "a,a", "a,,b", 7, None, "1e3-5"])
def test_what_is_no_scale_is_refused(text: object) -> None:
    with pytest.raises(InputError, match="scale"):
        scale_of(text)


@pytest.mark.parametrize("value", [11, -0.1, "many", True, float("nan"), None])
def test_a_rating_off_the_scale_is_refused(value: object) -> None:
    with pytest.raises(InputError, match="gold"):
        Scale(0, 10).rating(value)


@given(st.integers(-50, 50), st.integers(1, 100), st.booleans())
def test_better_marks_are_never_worse_ratings(low: int, steps: int, downwards: bool) -> None:
    ends = (low + steps, low) if downwards else (low, low + steps)
    scale = scale_of(f"{ends[0]}..{ends[1]}")
    step = -1 if downwards else 1
    ratings = [scale.rating(value) for value in range(ends[0], ends[1] + step, step)]
    assert ratings == sorted(ratings)
    assert (ratings[0], ratings[-1]) == (1, 5)
    assert set(ratings) <= set(scale.levels) <= set(RATINGS)


@given(st.sampled_from([(1, 5), (1, 3, 5), (1, 2, 4, 5), RATINGS]), st.integers(1, 5), st.floats(0, 1))
def test_a_grade_is_one_of_the_scales_levels(levels: tuple[int, ...], rating: int, score: float) -> None:
    given = nearest(levels, rating, score)
    assert given in levels
    assert given == rating or levels != RATINGS


TABLE = """\ufeffID;Question;Reference;Key points;Answer;Gold;Comment
a;Name two rivers.;Rhine and Rhone.;"Rhine|Rhone";"rhine; rhone";10;ok
b;Name two rivers.;Rhine and Rhone.;"Rhine
Rhone";I don't know;0;
c;Name two rivers.;Rhine and Rhone.;;the rhine;12;off the scale

d;;;;;;"""


def test_a_spreadsheet_is_read_as_rows(tmp_path: Path, freerecall: Terminal) -> None:
    path = tmp_path / "ratings.csv"
    path.write_text(TABLE, encoding="utf-8")
    good, second, off, empty = read_rows(path, gold=True, scale=scale_of("0-10"))
    assert isinstance(good, Row)
    assert isinstance(second, Row)
    assert (
        [point.text for point in good.card.points]
        == ["Rhine", "Rhone"]
        == [point.text for point in second.card.points]
    )
    assert (good.id, good.answer, good.gold, second.gold) == ("a", "rhine; rhone", 5, 1)
    assert isinstance(off, BadRow)
    assert (off.line, "0 to 10" in off.error) == (5, True)
    assert isinstance(empty, BadRow)

    out = tmp_path / "figures.json"
    assert freerecall("eval", str(path), "--scale", "0-10", "--json", str(out)).code == 0
    figures = json.loads(out.read_text())
    assert (figures["n"], len(figures["bad"]), figures["ratings"]["exact"]["value"]) == (2, 2, 1.0)


def test_classes_are_compared_as_classes(tmp_path: Path, freerecall: Terminal) -> None:
    row = {"question": "Capital of France?", "reference": "Paris"}
    rows = [
        {**row, "id": n, "answer": answer, "gold": gold, "scale": "wrong,partly,right"}
        for n, (answer, gold) in enumerate([("paris", "right"), ("lyon", "wrong"), ("Pariss", "right")])
    ]
    path, out = tmp_path / "gold.jsonl", tmp_path / "figures.json"
    path.write_text("".join(json.dumps(one) + "\n" for one in rows))
    assert freerecall("eval", str(path), "--json", str(out)).code == 0
    table = json.loads(out.read_text())["confusion"]
    assert sum(table[i][j] for i in (0, 2, 4) for j in (0, 2, 4)) == 3


@pytest.mark.parametrize(
    ("content", "says"),
    [("a,b\n1,2\n", "`answer`"), ('answer,gold\n"open,3\n', "quotes"), ("\0\0", "binary")],
)
def test_what_is_no_table_says_so(tmp_path: Path, freerecall: Terminal, content: str, says: str) -> None:
    path = tmp_path / "gold.csv"
    path.write_text(content)
    done = freerecall("eval", str(path))
    assert done.code == 2
    assert says in done.err
    assert "Traceback" not in done.err


@given(st.binary(max_size=200))
def test_any_bytes_are_rows_or_a_clear_error(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    path = tmp_path_factory.mktemp("t") / "gold.csv"
    path.write_bytes(b"answer,reference,gold\n" + content)
    try:
        assert all(isinstance(row, Row | BadRow) for row in read_rows(path, gold=True))
    except Exception as error:
        assert type(error).__module__ == "freerecall.errors", error
