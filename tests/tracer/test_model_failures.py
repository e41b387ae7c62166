import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracer.model import Failure, fingerprint, masked


def failure(message: str, type: str = "HTTPError") -> Failure:
    return Failure("application", type, message)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("429 for SHP-1001, attempt 1", "429 for SHP-2002, attempt 2"),
        ("object at 0x7f3a2b", "object at 0x7f99ff"),
        (
            "run 01a200b8-9c0a-722c-9b0d-edbabb5d9810 lost",
            "run 6dcecd7e-0b3b-44e3-9468-69cb179acf26 lost",
        ),
        ("took 1.25 s\n  of 2", "took 11.5 s of 3"),
    ],
)
def test_what_differs_in_ids_and_numbers_only_is_one_failure(one: str, other: str) -> None:
    assert fingerprint(failure(one)) == fingerprint(failure(other))


def test_another_message_or_type_is_another_failure() -> None:
    first = fingerprint(failure("card declined"))
    assert first != fingerprint(failure("card expired"))
    assert first != fingerprint(failure("card declined", type="ValueError"))


def test_the_root_cause_counts_not_who_passed_it_on() -> None:
    root = failure("card declined")
    wrapped = Failure("activity", "", "Activity task failed", cause=root)
    assert fingerprint(wrapped) == fingerprint(root)


@given(st.text())
def test_masks_settle(message: str) -> None:
    assert masked(masked(message)) == masked(message)


def test_a_dump_costs_no_more_than_a_sentence() -> None:
    assert len(masked("word " * 1_000_000)) <= 2_000
