"""Examples, changed in every way that breaks a replay: each change is named, placed and explained.

A change is a replacement of source text. The line that is expected is found by a piece of its text,
so that it stays right when the example moves.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from replayer.check import ChangeKind, VerdictStatus, check_replay, verdict_text
from replayer.history import RunHistory
from replayer.replaying import load_workflow, load_workflows
from tests.replayer.example_histories import (
    CARGO,
    KYC,
    MODULES,
    PREFIX,
    Check,
    changed_check,
    recorded_examples,
)

SHIPMENT = f"{PREFIX}-all-released-SHP-101"


@pytest.fixture(scope="module")
def histories(temporal_address: str) -> Mapping[str, RunHistory]:
    return recorded_examples(temporal_address)


@pytest.fixture
def check(histories: Mapping[str, RunHistory], tmp_path: Path) -> Check:
    return changed_check(histories, tmp_path)


@dataclass(frozen=True)
class Change:
    """One way to break a replay, and what is to be said of it."""

    kind: ChangeKind
    run: str
    example: Path
    replacements: tuple[tuple[str, str], ...]
    recorded: str
    """The text of the recorded command that the code does not lead to."""
    line: str
    """A part of the line of source that is shown."""
    function: str = ""
    to_do: str = "workflow.patched("


RESERVE = "        slot_id = await self._reserve_slot()\n"
CLEAR = "        clearance_id = await self._clear_customs()\n"
ASSESSING = '        self._stage = "assessing risk"\n'
AUDIT = """        audit_id = await workflow.execute_activity_method(
            KycActivities.record_audit,
            AuditEntry(self._case.case_id, outcome, reason, decided_by),
            start_to_close_timeout=STEP_TIMEOUT,
            summary=f"audit: {outcome}",
        )
"""

CHANGES = {
    "added activity": Change(
        ChangeKind.ADDED,
        SHIPMENT,
        CARGO,
        ((RESERVE + "        await", RESERVE + "        await self._notify(None)\n        await"),),
        "timer (1",
        "await workflow.execute_activity_method(",
        "ShipmentRelease._notify",
        'workflow.patched("add-notify-consignee")',
    ),
    "added timer": Change(
        ChangeKind.ADDED,
        f"{PREFIX}-auto-approved",
        KYC,
        ((ASSESSING, ASSESSING + "        await asyncio.sleep(3)\n"),),
        "activity assess_risk (4",
        "await asyncio.sleep(3)",
        "KycReview.run",
    ),
    "added local activity": Change(
        ChangeKind.ADDED,
        f"{PREFIX}-auto-approved",
        KYC,
        (
            (
                ASSESSING,
                ASSESSING + "        await workflow.execute_local_activity("
                '"look_up", start_to_close_timeout=STEP_TIMEOUT)\n',
            ),
        ),
        "activity assess_risk (4",
        'workflow.execute_local_activity("look_up"',
    ),
    "added in an update": Change(
        ChangeKind.ADDED,
        f"{PREFIX}-human-approved",
        KYC,
        (
            (
                "        self._approval = approval\n",
                "        await workflow.sleep(1)\n        self._approval = approval\n",
            ),
        ),
        "update completed",
        "await workflow.sleep(1)",
        "KycReview.decide",
    ),
    "removed activity": Change(
        ChangeKind.REMOVED,
        SHIPMENT,
        CARGO,
        ((RESERVE, '        slot_id = "none"\n'),),
        "activity reserve_slot (5",
        "await workflow.sleep(window",
        "ShipmentRelease._release",
        'if not workflow.patched("remove-reserve-slot")',
    ),
    "removed last activity": Change(
        ChangeKind.REMOVED,
        f"{PREFIX}-auto-approved",
        KYC,
        ((AUDIT, '        audit_id = "none"\n'),),
        "activity record_audit (5",
        'return await self._close("auto_approved"',
    ),
    "other branch": Change(
        ChangeKind.REMOVED,
        f"{PREFIX}-human-approved",
        KYC,
        (("self._risk.score < limit", "self._risk.score <= limit"),),
        'timer (1, "approval: first line")',
        "audit_id = await workflow.execute_activity_method(",
        "KycReview._close",
    ),
    "removed local activity": Change(
        ChangeKind.REMOVED,
        SHIPMENT,
        CARGO,
        (
            (
                "        _, _, gross_kg = await asyncio.gather(documents, hazard, weight)\n",
                "        weight.close()\n        await asyncio.gather(documents, hazard)\n"
                "        gross_kg = 1.0\n",
            ),
        ),
        "local activity weigh (3",
        "",
    ),
    "reordered": Change(
        ChangeKind.REORDERED,
        SHIPMENT,
        CARGO,
        ((CLEAR + RESERVE, RESERVE + CLEAR),),
        "activity clear_customs (4",
        "slot_id = await workflow.execute_activity_method(",
        "ShipmentRelease._reserve_slot",
        'workflow.patched("reorder-clear-customs")',
    ),
    "reordered in a gather": Change(
        ChangeKind.REORDERED,
        SHIPMENT,
        CARGO,
        (
            (
                "_, _, gross_kg = await asyncio.gather(documents, hazard, weight)",
                "_, _, gross_kg = await asyncio.gather(hazard, documents, weight)",
            ),
        ),
        "activity check_documents (1",
        "hazard = workflow.execute_activity_method(",
    ),
    "renamed": Change(
        ChangeKind.RENAMED,
        f"{PREFIX}-auto-approved",
        KYC,
        (
            (
                "workflow.execute_activity_method(\n            KycActivities.assess_risk,",
                'workflow.execute_activity(\n            "rate_risk",',
            ),
            (
                'summary=f"risk by {PRIMARY_MODEL}",',
                'summary="risk",\n            result_type=Risk,',
            ),
        ),
        "activity assess_risk (4",
        "return await workflow.execute_activity(",
        "KycReview._assess",
        '@activity.defn(name="assess_risk")',
    ),
    "renamed child workflow": Change(
        ChangeKind.RENAMED,
        f"{PREFIX}-all-released",
        CARGO,
        (("            ShipmentRelease.run,\n", '            "OneShipment",\n'),),
        "child workflow ShipmentRelease",
        "return await workflow.execute_child_workflow(",
        "CargoRelease._release",
        '@workflow.defn(name="ShipmentRelease")',
    ),
    "changed type": Change(
        ChangeKind.CHANGED_TYPE,
        f"{PREFIX}-auto-approved",
        KYC,
        (
            (
                "workflow.execute_activity_method(\n            KycActivities.screen",
                "workflow.execute_local_activity_method(\n            KycActivities.screen",
            ),
        ),
        "activity screen_sanctions (1",
        "return await workflow.execute_local_activity_method(",
        "KycReview._screen",
    ),
    "timer became activity": Change(
        ChangeKind.CHANGED_TYPE,
        SHIPMENT,
        CARGO,
        (
            (
                'await workflow.sleep(window, summary="release window")',
                'await workflow.execute_activity("wait", start_to_close_timeout=STEP_TIMEOUT)',
            ),
        ),
        'timer (1, "release window")',
        'await workflow.execute_activity("wait"',
    ),
    "missing patch": Change(
        ChangeKind.MISSING_PATCH,
        SHIPMENT,
        CARGO,
        (('if workflow.patched("notify-consignee"):', "if True:"),),
        "patch notify-consignee",
        "await workflow.execute_activity_method(",
        "ShipmentRelease._notify",
        'workflow.deprecate_patch("notify-consignee")',
    ),
    "changed id": Change(
        ChangeKind.CHANGED_ID,
        f"{PREFIX}-all-released",
        CARGO,
        (
            (
                "{workflow.info().workflow_id}-{shipment.shipment_id}",
                "{workflow.info().workflow_id}/{shipment.shipment_id}",
            ),
        ),
        "child workflow ShipmentRelease",
        "return await workflow.execute_child_workflow(",
        to_do="Make the id",
    ),
    "waits": Change(
        ChangeKind.WAITING,
        f"{PREFIX}-auto-approved",
        KYC,
        (
            (
                ASSESSING,
                ASSESSING + "        await workflow.wait_condition(lambda: self._escalated)\n",
            ),
        ),
        "activity assess_risk (4",
        "await workflow.wait_condition(lambda: self._escalated)",
        "KycReview.run",
    ),
    "sandbox": Change(
        ChangeKind.SANDBOX,
        f"{PREFIX}-auto-approved",
        KYC,
        ((ASSESSING, ASSESSING + '        open("/dev/null")\n'),),
        "activity assess_risk (4",
        'open("/dev/null")',
        "run",
        "to an activity",
    ),
    "sandbox, on import": Change(
        ChangeKind.SANDBOX,
        f"{PREFIX}-auto-approved",
        KYC,
        (("STEP_TIMEOUT = ", "import random\nX = random.random()\nSTEP_TIMEOUT = "),),
        "",
        "X = random.random()",
        to_do="imports_passed_through",
    ),
    "deadlock": Change(
        ChangeKind.DEADLOCK,
        f"{PREFIX}-auto-approved",
        KYC,
        ((ASSESSING, ASSESSING + "        while True: pass\n"),),
        "activity assess_risk (4",
        "while True: pass",
        "run",
        "to an activity",
    ),
    "payload": Change(
        ChangeKind.PAYLOAD,
        f"{PREFIX}-auto-approved",
        KYC,
        (
            ("def __init__(self, case: Case)", "def __init__(self, case: int)"),
            ("async def run(self, case: Case)", "async def run(self, case: int)"),
        ),
        "activity screen_sanctions (1",
        "async def run(self, case: int)",
        "KycReview.run",
        "--profile",
    ),
    "payload, a new field": Change(
        ChangeKind.PAYLOAD,
        f"{PREFIX}-auto-approved",
        KYC,
        (
            (
                "AUTO_APPROVE_BELOW = ",
                "import dataclasses\n\n\n@dataclasses.dataclass\nclass Case:\n"
                "    case_id: str\n    tenant: str\n\n\nAUTO_APPROVE_BELOW = ",
            ),
        ),
        "activity screen_sanctions (1",
        "async def run(self, case: Case)",
        "KycReview.run",
        "need a default",
    ),
    "exception": Change(
        ChangeKind.EXCEPTION,
        f"{PREFIX}-auto-approved",
        KYC,
        ((ASSESSING, ASSESSING + '        {}["EU"]\n'),),
        "activity assess_risk (4",
        '{}["EU"]',
        "run",
        "take what this run has recorded",
    ),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_is_named_placed_and_explained(name: str, check: Check) -> None:
    change = CHANGES[name]
    verdict = check(change.run, change.example, *change.replacements)
    assert verdict.status is VerdictStatus.FAILED
    explanation = verdict.explanation
    assert explanation is not None
    assert explanation.kind is change.kind, explanation.summary
    if change.recorded:
        assert explanation.expected is not None
        assert explanation.expected.text.startswith(change.recorded)
        assert explanation.event_id == explanation.expected.event_id
    assert change.to_do in explanation.suggestion
    assert "\n" not in explanation.summary
    if change.line:
        place = explanation.place
        assert place is not None
        assert change.line in place.text
        assert change.function in place.function
        assert change.line in Path(place.file).read_text().splitlines()[place.line - 1]


def test_what_agreed_before_is_told(check: Check) -> None:
    change = CHANGES["removed activity"]
    explanation = check(change.run, change.example, *change.replacements).explanation
    assert explanation is not None
    # The local activity's marker stands where it was answered.
    assert [command.name for command in explanation.matched] == [
        "check_hazard",
        "weigh",
        "clear_customs",
    ]
    events = [command.event_id for command in explanation.matched]
    assert events == sorted(events, key=lambda id: id or 0)


def test_a_stack_leads_from_the_run_method_to_the_call(check: Check) -> None:
    change = CHANGES["added activity"]
    explanation = check(change.run, change.example, *change.replacements).explanation
    assert explanation is not None
    assert [frame.function for frame in explanation.stack] == [
        "ShipmentRelease.run",
        "ShipmentRelease._release",
        "ShipmentRelease._notify",
    ]


def test_a_workflow_that_is_not_there_is_told_apart(histories: Mapping[str, RunHistory]) -> None:
    workflow = load_workflow("examples.kyc_review.workflow:KycReview")
    verdict = check_replay(histories[SHIPMENT], [workflow])
    assert verdict.explanation is not None
    assert verdict.explanation.kind is ChangeKind.UNREGISTERED
    assert "ShipmentRelease" in verdict.explanation.summary


def test_the_kinds_are_all_shown() -> None:
    # Hangs and crashes take the process with them: test_check_children.py; OTHER is what the SDK
    # may say one day.
    elsewhere = {
        ChangeKind.UNREGISTERED,
        ChangeKind.HANGS,
        ChangeKind.CRASHES,
        ChangeKind.OTHER,
    }
    assert {change.kind for change in CHANGES.values()} == set(ChangeKind) - elsewhere


def test_unchanged_code_gives_no_alarm(histories: Mapping[str, RunHistory]) -> None:
    workflows = load_workflows(MODULES)
    verdicts = {
        name: check_replay(history, workflows, strict=True) for name, history in histories.items()
    }
    assert len(verdicts) >= 30
    problems = {name: verdict for name, verdict in verdicts.items() if verdict.is_problem}
    assert problems == {}
    stuck = verdicts.pop(f"{PREFIX}-stuck")
    assert stuck.status is VerdictStatus.STUCK
    assert stuck.explanation is not None
    assert "KeyError: 'XX'" in stuck.explanation.summary
    assert {verdict.status for verdict in verdicts.values()} == {VerdictStatus.OK}
    # Nothing was left out of the comparison: every recorded command found its own.
    for name, verdict in verdicts.items():
        commands = [
            event
            for event in histories[name].events
            if event.HasField("activity_task_scheduled_event_attributes")
        ]
        assert verdict.commands > len(commands), name


def test_a_step_under_a_new_patch_is_no_problem(check: Check) -> None:
    step = '        if workflow.patched("look"):\n            await workflow.sleep(1)\n'
    verdict = check(f"{PREFIX}-auto-approved", KYC, (ASSESSING, step + ASSESSING), strict=True)
    assert not verdict.is_problem


def test_a_mended_workflow_gets_a_stuck_run_going(check: Check) -> None:
    verdict = check(f"{PREFIX}-stuck", KYC, ('"US": 0.3}', '"US": 0.3, "XX": 0.1}'))
    assert verdict.status is VerdictStatus.OK


def test_code_that_raises_after_the_last_event_is_a_problem(
    histories: Mapping[str, RunHistory], check: Check
) -> None:
    whole = histories[f"{PREFIX}-auto-approved"]
    # The risk is assessed, and no worker has looked at that yet.
    task = [e for e in whole.events if e.HasField("workflow_task_scheduled_event_attributes")][-2]
    cut = RunHistory(
        whole.key, whole.key_source, whole.origin, whole.events[: task.event_id], whole.raw
    )
    assert check(cut, KYC).status is VerdictStatus.OK
    verdict = check(cut, KYC, ('AUTO_APPROVE_BELOW = {"EU"', 'AUTO_APPROVE_BELOW = {"EX"'))
    assert verdict.status is VerdictStatus.FAILED
    assert verdict.explanation is not None
    assert verdict.explanation.kind is ChangeKind.EXCEPTION
    assert verdict.explanation.summary.startswith("The next workflow task fails: KeyError")


def test_the_explanation_in_the_docs_is_what_is_said(
    histories: Mapping[str, RunHistory], monkeypatch: pytest.MonkeyPatch
) -> None:
    root = Path(__file__).parents[2]
    monkeypatch.chdir(root)
    workflow = load_workflow("examples.kyc_review.workflow_faulty:KycReview")
    verdict = check_replay(histories[f"{PREFIX}-human-approved"], [workflow])
    said = _without_numbers(verdict_text(verdict).splitlines()[2:])
    shown = (root / "docs" / "check.md").read_text(encoding="utf-8")
    [block] = [part for part in shown.split("```") if part.startswith("text\nFAILED")]
    # The last paragraph of what is said, the SDK's own words, is left out there.
    assert said.startswith(_without_numbers(block.splitlines()[2:]))


def _without_numbers(lines: list[str]) -> str:
    """The words alone: which event it is depends on how fast the activities were."""
    return re.sub(r"event \d+", "event", " ".join(" ".join(lines).split()))
