"""Whom a run is for."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from temporalio.api.common.v1 import Header, Payload
from temporalio.converter import DataConverter

from tracer._tenant import TenantOrigin, TenantSource
from tracer.identity import RunKey
from tracer.model.words import Run
from tracer.names import TENANT_HEADER

KEYED = [TenantOrigin.SEARCH_ATTRIBUTE, TenantOrigin.HEADER, TenantOrigin.MEMO]


def payload(value: Any) -> Payload:
    return DataConverter.default.payload_converter.to_payloads([value])[0]


def run_with(origin: TenantOrigin, item: Payload) -> Run:
    run = Run(RunKey("shop", "w", "r"))
    run.headers = run.memo = run.search_attributes = {}
    match origin:
        case TenantOrigin.SEARCH_ATTRIBUTE:
            run.search_attributes = {"Customer": item}
        case TenantOrigin.HEADER:
            run.headers = {"Customer": item}
        case _:
            run.memo = {"Customer": item}
    return run


def test_the_namespace_is_the_default() -> None:
    source = TenantSource()
    assert source.of_run(Run(RunKey("shop", "w", "r"))) == "shop"
    assert source.of_attempt("shop", {TENANT_HEADER: payload("spoofed")}) == "shop"
    assert not source.metric_label


@pytest.mark.parametrize("origin", KEYED)
@pytest.mark.parametrize(
    ("value", "tenant"),
    [
        ("acme", "acme"),
        (42, "42"),
        (["acme"], "acme"),
        (["acme", "other"], ""),
        ([], ""),
        (True, ""),
        (None, ""),
        ({"name": "acme"}, ""),
        (b"acme", "acme"),
        ("  acme ", "acme"),
        ("x" * 1_000, "x" * 128),
    ],
)
def test_a_tenant_is_a_short_name(origin: TenantOrigin, value: Any, tenant: str) -> None:
    source = TenantSource(origin, "Customer")
    assert source.of_run(run_with(origin, payload(value))) == tenant


@pytest.mark.parametrize("origin", KEYED)
def test_it_is_looked_up_in_one_place_only(origin: TenantOrigin) -> None:
    run = run_with(origin, payload("acme"))
    found = {other: TenantSource(other, "Customer").of_run(run) for other in KEYED}
    assert found == {other: "acme" if other is origin else "" for other in KEYED}


@pytest.mark.parametrize("origin", KEYED)
def test_an_attempt_knows_what_its_run_sent(origin: TenantOrigin) -> None:
    source = TenantSource(origin, "Customer")
    assert source.of_attempt("shop", {TENANT_HEADER: payload("acme")}) == "acme"
    assert source.of_attempt("shop", {}) == ""
    own = "beta" if origin is TenantOrigin.HEADER else ""
    assert source.of_attempt("shop", {"Customer": payload("beta")}) == own


def test_looking_does_not_write() -> None:
    header = Header()
    assert TenantSource(TenantOrigin.HEADER, "Customer").of_attempt("shop", header.fields) == ""
    assert not header.fields


@given(st.binary(max_size=40), st.sampled_from([b"json/plain", b"binary/plain", b"x"]))
def test_no_payload_breaks_it(data: bytes, encoding: bytes) -> None:
    item = Payload(metadata={"encoding": encoding}, data=data)
    run = run_with(TenantOrigin.MEMO, item)
    assert len(TenantSource(TenantOrigin.MEMO, "Customer").of_run(run)) <= 128


@pytest.mark.parametrize("origin", KEYED)
def test_a_source_without_key_is_refused(origin: TenantOrigin) -> None:
    with pytest.raises(ValueError, match="expected the key to look up"):
        TenantSource(origin)


def test_a_namespace_with_key_is_refused() -> None:
    with pytest.raises(ValueError, match="expected no key"):
        TenantSource(key="Customer")
