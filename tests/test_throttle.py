"""Pauses and limits, by a clock of the tests' own."""

from freerecall.throttle import Backoff, Rate


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_the_pause_grows_up_to_a_limit_and_is_forgotten() -> None:
    clock = Clock()
    backoff = Backoff(free=2, most_s=10, forget_s=100, clock=clock)
    seen = []
    for _ in range(8):
        seen.append(backoff.left("ann"))
        clock.now += seen[-1]
        backoff.fail("ann")
    assert seen == [0, 0, 1, 2, 4, 8, 10, 10]
    assert backoff.left("bob") == 0
    clock.now += 101
    backoff.fail("ann")
    assert backoff.left("ann") == 0
    backoff.fail("ann")
    assert backoff.left("ann") == 1
    backoff.take_back("ann")
    assert backoff.left("ann") == 0
    backoff.fail("ann")
    backoff.forgive("ann")
    assert backoff.left("ann") == 0


def test_a_flood_of_names_takes_no_more_room() -> None:
    backoff, rate = Backoff(free=1, most_keys=50), Rate(1, most_keys=50)
    for number in range(1_000):
        backoff.fail(f"name {number}")
        rate.take(f"name {number}")
    assert (len(backoff), len(rate)) == (50, 50)


def test_a_rate_is_refilled_evenly() -> None:
    clock = Clock()
    rate = Rate(60, clock=clock)
    assert [rate.take("ann") for _ in range(61)] == [0.0] * 60 + [1.0]
    assert rate.take("bob") == 0
    clock.now += 0.5
    assert rate.take("ann") == 0.5
    clock.now += 0.5
    assert rate.take("ann") == 0
    assert rate.take("ann") == 1
    clock.now += 3_600
    assert [rate.take("ann") for _ in range(61)].count(0.0) == 60
    assert {Rate(0).take("ann") for _ in range(1_000)} == {0.0}
