"""Verdicts as JUnit XML, which continuous integration reads: one suite, one case for each run."""

from __future__ import annotations

import re
from collections.abc import Sequence
from xml.etree import ElementTree

from replayer.check.model import Verdict, VerdictStatus
from replayer.check.report import verdict_text

__all__ = ["junit_xml"]

# Not even escaped are they allowed in XML.
_FORBIDDEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit_xml(verdicts: Sequence[Verdict], rejected: Sequence[tuple[str, str]] = ()) -> bytes:
    """A document with every verdict.

    Args:
        verdicts: What was checked.
        rejected: What could not be read, and why.
    """
    suite = ElementTree.Element(
        "testsuite",
        name="retrospan check",
        tests=str(len(verdicts) + len(rejected)),
        failures=str(sum(verdict.is_problem for verdict in verdicts)),
        errors=str(len(rejected)),
        skipped=str(sum(verdict.status is VerdictStatus.STUCK for verdict in verdicts)),
        time=f"{sum(verdict.seconds for verdict in verdicts):.3f}",
    )
    for verdict in verdicts:
        _case(suite, verdict)
    for uri, reason in rejected:
        case = ElementTree.SubElement(suite, "testcase", classname="history", name=_safe(uri))
        ElementTree.SubElement(case, "error", message=_safe(reason))
    suites = ElementTree.Element("testsuites")
    suites.append(suite)
    ElementTree.indent(suites)
    document: bytes = ElementTree.tostring(suites, encoding="utf-8", xml_declaration=True)
    return document


def _case(suite: ElementTree.Element, verdict: Verdict) -> None:
    case = ElementTree.SubElement(
        suite,
        "testcase",
        classname=_safe(verdict.workflow_type),
        name=_safe(f"{verdict.key.workflow_id}:{verdict.key.run_id}"),
        file=_safe(verdict.uri),
        time=f"{verdict.seconds:.3f}",
    )
    if verdict.is_problem:
        kinds = [verdict.explanation.kind.value] if verdict.explanation else []
        kinds += [finding.kind.value for finding in verdict.findings]
        summary = verdict.explanation.summary if verdict.explanation else ", ".join(kinds)
        failure = ElementTree.SubElement(
            case, "failure", type=_safe(kinds[0]), message=_safe(summary)
        )
        failure.text = _safe(verdict_text(verdict))
    elif verdict.status is VerdictStatus.STUCK and verdict.explanation is not None:
        ElementTree.SubElement(case, "skipped", message=_safe(verdict.explanation.summary))


def _safe(text: str) -> str:
    return _FORBIDDEN.sub("�", text)
