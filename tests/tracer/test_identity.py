from hypothesis import given
from hypothesis import strategies as st

from tracer.identity import RunKey, derived_trace_id, span_id

texts = st.text(max_size=40)


@given(
    st.lists(st.tuples(texts, texts, texts, st.integers(1, 99)), unique=True, min_size=2),
)
def test_different_coordinates_have_different_ids(
    coordinates: list[tuple[str, str, str, int]],
) -> None:
    ids = {span_id(*coordinate) for coordinate in coordinates}
    assert len(ids) == len(coordinates)
    assert all(0 < span < 2**64 for span in ids)


def test_ids_are_the_same_on_every_machine_and_version() -> None:
    # Written down, not computed: an id that changes breaks the join with telemetry already stored.
    assert span_id("run-1", "step", "7") == 0x4F994C612635D677
    assert derived_trace_id("run-1") == 0x47152130C7CF8717562D14C560DCCC78


def test_borders_between_coordinates_count() -> None:
    assert span_id("r", "a", "bc") != span_id("r", "ab", "c")


def test_lone_surrogates_are_no_obstacle() -> None:
    assert span_id("r", "signal", "\ud800") > 0


@given(texts)
def test_trace_ids_are_valid(run_id: str) -> None:
    assert 0 < derived_trace_id(run_id) < 2**128


def test_keys_read_as_commands_print_them() -> None:
    assert str(RunKey("default", "order-1", "abc")) == "default/order-1:abc"
