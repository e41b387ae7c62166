"""What the SDK's Replayer lets pass, and a strict check finds: each in its own test."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from replayer.check import Finding, FindingKind, Verdict, VerdictStatus
from replayer.history import RunHistory
from tests.replayer.example_histories import (
    CARGO,
    KYC,
    PREFIX,
    Check,
    changed_check,
    recorded_examples,
)

AUTO = f"{PREFIX}-auto-approved"
SHIPMENT = f"{PREFIX}-all-released-SHP-101"


@pytest.fixture(scope="module")
def histories(temporal_address: str) -> Mapping[str, RunHistory]:
    return recorded_examples(temporal_address)


@pytest.fixture
def check(histories: Mapping[str, RunHistory], tmp_path: Path) -> Check:
    return changed_check(histories, tmp_path)


def found(verdict: Verdict) -> list[tuple[FindingKind, str, str, str, str]]:
    """Kind, command, field, recorded, now. The SDK had no objection."""
    assert verdict.status is VerdictStatus.OK, verdict.explanation
    return [_row(finding) for finding in verdict.findings]


def _row(finding: Finding) -> tuple[FindingKind, str, str, str, str]:
    name = finding.command.name or finding.command.kind.value
    return finding.kind, name, finding.field, finding.recorded, finding.now


def test_nothing_is_compared_unless_asked_for(check: Check) -> None:
    verdict = check(AUTO, KYC, ("self._case.applicant,", '"somebody else",'))
    assert found(verdict) == []


def test_a_changed_argument(check: Check) -> None:
    change = ("            self._case.applicant,\n", '            "somebody else",\n')
    [finding] = check(AUTO, KYC, change, strict=True).findings
    assert _row(finding) == (
        FindingKind.ARGUMENTS,
        "screen_sanctions",
        "argument 1",
        '"Ada Lindqvist"',
        '"somebody else"',
    )
    assert finding.command.event_id == 5
    place = finding.command.place
    assert place is not None
    assert place.text == "return await workflow.execute_activity_method("
    assert place.function == "KycReview._screen"


def test_an_argument_more_and_one_less(check: Check) -> None:
    change = ("            self._case.applicant,\n", '            args=["Ada Lindqvist", 7],\n')
    assert found(check(AUTO, KYC, change, strict=True)) == [
        (FindingKind.ARGUMENTS, "screen_sanctions", "argument 2", "nothing", "7")
    ]
    change = ("            self._case.applicant,\n", "            args=[],\n")
    assert found(check(AUTO, KYC, change, strict=True)) == [
        (FindingKind.ARGUMENTS, "screen_sanctions", "argument 1", '"Ada Lindqvist"', "nothing")
    ]


def test_a_changed_timeout(check: Check) -> None:
    change = (
        "            start_to_close_timeout=STEP_TIMEOUT,\n"
        '            summary="sanctions lists",\n',
        "            start_to_close_timeout=timedelta(minutes=5),\n"
        "            heartbeat_timeout=timedelta(seconds=7),\n",
    )
    assert found(check(AUTO, KYC, change, strict=True)) == [
        (FindingKind.TIMEOUTS, "screen_sanctions", "start_to_close_timeout", "30s", "5min"),
        (FindingKind.TIMEOUTS, "screen_sanctions", "heartbeat_timeout", "none", "7s"),
    ]


def test_a_changed_timer(check: Check) -> None:
    change = ("await workflow.sleep(window,", "await workflow.sleep(2 * window,")
    [finding] = found(check(SHIPMENT, CARGO, change, strict=True))
    assert finding[:3] == (FindingKind.TIMEOUTS, "timer", "start_to_fire_timeout")


def test_a_changed_retry_policy(check: Check) -> None:
    change = ("maximum_attempts=5)", 'maximum_attempts=6, non_retryable_error_types=["Closed"])')
    assert found(check(SHIPMENT, CARGO, change, strict=True)) == [
        (FindingKind.RETRY_POLICY, "clear_customs", "retry_policy.maximum_attempts", "5", "6"),
        (
            FindingKind.RETRY_POLICY,
            "clear_customs",
            "retry_policy.non_retryable_error_types",
            "",
            "Closed",
        ),
    ]


def test_a_retry_policy_that_is_gone_and_one_that_is_new(check: Check) -> None:
    change = ("            retry_policy=CUSTOMS_RETRIES,\n", "")
    [finding] = found(check(SHIPMENT, CARGO, change, strict=True))
    assert finding[:2] == (FindingKind.RETRY_POLICY, "clear_customs")
    assert finding[3:] == ("5 attempts from 0.2s", "none")
    change = (
        '            summary="sanctions lists",\n',
        "            retry_policy=MODEL_RETRIES,\n",
    )
    fields = [row[2] for row in found(check(AUTO, KYC, change, strict=True))]
    assert "retry_policy.maximum_attempts" in fields


def test_a_changed_task_queue(check: Check) -> None:
    change = (
        '            summary="sanctions lists",\n',
        '            task_queue="sanctions",\n',
    )
    assert found(check(AUTO, KYC, change, strict=True)) == [
        (FindingKind.TASK_QUEUE, "screen_sanctions", "task_queue", "kyc-review", "sanctions")
    ]


def test_the_queue_of_the_run_is_the_same_named_or_not(check: Check) -> None:
    change = (
        '            summary="sanctions lists",\n',
        '            task_queue="kyc-review",\n',
    )
    assert found(check(AUTO, KYC, change, strict=True)) == []


def test_a_changed_result(check: Check) -> None:
    change = (
        "return Decision(outcome, reason, decided_by, audit_id)",
        'return Decision(outcome, reason, "nobody", audit_id)',
    )
    [finding] = found(check(AUTO, KYC, change, strict=True))
    assert finding[:3] == (FindingKind.RESULT, "workflow completed", "result")
    assert '"policy"' in finding[3]
    assert '"nobody"' in finding[4]


def test_a_changed_failure(check: Check) -> None:
    change = ('is not released: {_reason(error)}"', 'stays here: {_reason(error)}"')
    run = f"{PREFIX}-all-refused-SHP-401"
    [finding] = found(check(run, CARGO, change, strict=True))
    assert finding[:2] == (FindingKind.FAILURE, "workflow failed")
    assert "stays here" in finding[4]


def test_a_changed_answer_to_an_update(check: Check) -> None:
    change = ('return "approved" if', 'return "accepted" if')
    run = f"{PREFIX}-human-approved"
    assert found(check(run, KYC, change, strict=True)) == [
        (FindingKind.RESULT, "update completed", "update result", '"approved"', '"accepted"')
    ]


def test_a_changed_child_workflow(check: Check) -> None:
    change = (
        "            static_summary=",
        "            parent_close_policy=workflow.ParentClosePolicy.ABANDON,\n"
        "            run_timeout=timedelta(hours=2),\n            static_summary=",
    )
    rows = found(check(f"{PREFIX}-all-released", CARGO, change, strict=True))
    assert {(row[0], row[2], row[4]) for row in rows} == {
        (FindingKind.OPTIONS, "parent_close_policy", "2"),
        (FindingKind.TIMEOUTS, "workflow_run_timeout", "2h"),
    }
    assert len(rows) == 6


def test_texts_for_people_may_change(check: Check) -> None:
    assert found(check(AUTO, KYC, ('"sanctions lists"', '"all lists"'), strict=True)) == []
