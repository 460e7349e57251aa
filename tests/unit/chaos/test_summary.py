"""What is made of the attempts of clients."""

from chaos.summary import NOTHING, Attempt, summarise


def attempts(*those: tuple[float, str]) -> list[Attempt]:
    return [Attempt(ended - 0.1, ended, outcome) for ended, outcome in those]


def test_a_fault_that_nobody_noticed():
    seen = summarise(attempts((9.5, "ok"), (10.1, "ok"), (10.6, "ok")), began=10, over=10.2)
    assert not seen.disturbed
    assert str(seen) == NOTHING
    assert seen.gap == 10.1 - 9.5


def test_the_way_back_ends_with_the_first_success_after_the_last_failure():
    those = attempts(
        (9.9, "ok"), (11, "503"), (12.5, "ok"), (13, "cut off"), (14, "ok"), (15, "ok")
    )
    seen = summarise(those, began=10, over=12)
    assert seen.back == 2
    assert seen.failures == {"503": 1, "cut off": 1}
    assert seen.gap == 12.5 - 9.9
    assert str(seen) == "2.6 s; 1 x 503, 1 x cut off"


def test_what_failed_before_the_fault_does_not_count():
    seen = summarise(attempts((1, "500"), (2, "ok"), (10.5, "ok")), began=10, over=10)
    assert not seen.failures


def test_clients_that_never_come_back():
    seen = summarise(attempts((9.9, "ok"), (11, "refused")), began=10, over=10)
    assert seen.back is None
    assert seen.disturbed


def test_an_answer_that_waited_for_the_end_of_the_fault_is_a_gap():
    seen = summarise(attempts((9.9, "ok"), (15.1, "ok")), began=10, over=15)
    assert seen.disturbed
    assert round(seen.back, 3) == 0.1
