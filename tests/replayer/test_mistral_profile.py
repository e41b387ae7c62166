"""Real runs of Mistral Workflows, replayed with the SDK's own parts.

They run where the SDK is: `make test-profiles` lays it over the environment. Its import changes
logging for the whole process, so it is imported in children only.
"""

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from replayer.check import CheckOptions, Verdict, VerdictStatus, check_many
from replayer.history import RunHistory, read_bytes
from replayer.replaying import Limits, LoadError, load_profile
from replayer.tape import StopKind, open_tape, record

HAS_SDK = find_spec("mistralai") is not None and find_spec("mistralai.workflows") is not None
needs_sdk = pytest.mark.skipif(not HAS_SDK, reason="mistralai-workflows is not installed here")

LIMITS = Limits(seconds=120)
KEY = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
STUCK = "boom2-exc"
"""The run whose first workflow task fails."""


@pytest.mark.skipif(HAS_SDK, reason="it is installed here")
def test_without_the_sdk_the_profile_says_what_is_missing() -> None:
    with pytest.raises(LoadError, match="needs the package mistralai-workflows"):
        load_profile("mistral")


@pytest.fixture
def histories(corpus: Path, monkeypatch: pytest.MonkeyPatch) -> list[RunHistory]:
    """Every recorded run, in a process set up as its worker was."""
    for name, value in {
        "DEPLOYMENT_NAME": "loan-deploy",
        "ENABLE_CONFIG_DISCOVERY": "false",
        "LOG_LEVEL": "CRITICAL",
        "TEMPORAL_PAYLOAD_ENCRYPTION__MODE": "full",
        "TEMPORAL_PAYLOAD_ENCRYPTION__MAIN_KEY": KEY,
        # The corpus is not ours to write to.
        "PYTHONDONTWRITEBYTECODE": "1",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(corpus / "mistral" / "src")
    return list(read(corpus / "mistral"))


def read(folder: Path) -> Iterator[RunHistory]:
    for file in sorted(folder.glob("*.json")):
        [history] = read_bytes(file.read_bytes(), uri=file.name, namespace="mistral-workflows")
        assert isinstance(history, RunHistory)
        yield history


def checked(histories: list[RunHistory], *workflows: str) -> dict[str, Verdict]:
    options = CheckOptions(workflows, "mistral", limits=LIMITS)
    return {each.key.workflow_id: each for each in check_many(histories, options)}


@needs_sdk
@pytest.mark.slow
def test_the_code_that_ran_replays_every_run(histories: list[RunHistory]) -> None:
    verdicts = checked(histories, "loan_review")
    assert len(verdicts) == len(histories) == 10
    stuck = verdicts.pop(STUCK)
    assert {each.status for each in verdicts.values()} == {VerdictStatus.OK}
    # As it was: what the code raises is what the recorded task failed with.
    assert stuck.status is VerdictStatus.STUCK
    assert stuck.explanation is not None
    assert stuck.explanation.sdk == "ValueError: plain exception in workflow code"
    assert sum(each.commands for each in verdicts.values()) > 100


@needs_sdk
@pytest.mark.slow
def test_changed_code_does_not(
    histories: list[RunHistory], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = Path("loan_review.py").read_text(encoding="utf-8")
    cooling = 'await workflow.sleep(timedelta(seconds=1), summary="cooling-off")\n'
    assert cooling in source
    (tmp_path / "changed_loan.py").write_text(source.replace(cooling, "pass\n"), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    reviews = [each for each in histories if each.key.workflow_id in ("loan-2", "loan-3")]
    for verdict in checked(reviews, "changed_loan").values():
        assert verdict.status is VerdictStatus.FAILED
        assert verdict.explanation is not None
        assert verdict.explanation.expected is not None
        assert "timer" in verdict.explanation.expected.text


@needs_sdk
@pytest.mark.slow
def test_tapes_have_the_decisions_of_the_workflow(
    histories: list[RunHistory], tmp_path: Path
) -> None:
    [review] = [each for each in histories if each.key.workflow_id == "loan-2"]
    path = tmp_path / "review.tape"
    assert record(review, ("loan_review",), path, profile="mistral", limits=LIMITS).kind is (
        StopKind.CLOSED
    )
    with open_tape(path) as tape:
        decisions = [(b.branch.point.condition, b.branch.outcome) for b in tape.branches()]
    assert decisions == [("risk.score > 0.5", True), ("not decision.approved", True)]
    [stuck] = [each for each in histories if each.key.workflow_id == STUCK]
    stop = record(stuck, ("loan_review",), path, profile="mistral", limits=LIMITS)
    assert stop.kind is StopKind.FAILED
    assert stop.text == "ValueError: plain exception in workflow code"
