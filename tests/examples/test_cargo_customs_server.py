"""The stand-in for the systems of a port, over HTTP."""

from collections.abc import Iterator

import httpx
import pytest

from examples.cargo_release.customs_server import KEY_HEADER, CustomsServer, Rules


@pytest.fixture
def port() -> Iterator[CustomsServer]:
    with CustomsServer(Rules(busy={"S1": 2}, refused={"S2": "no lorry"})) as server:
        yield server


@pytest.fixture
def http(port: CustomsServer) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=port.url, trust_env=False) as client:
        yield client


def post(http: httpx.Client, path: str, shipment_id: str, key: str = "k") -> httpx.Response:
    return http.post(path, json={"shipment_id": shipment_id}, headers={KEY_HEADER: key})


def delete(http: httpx.Client, path: str, key: str = "k") -> httpx.Response:
    return http.delete(path, headers={KEY_HEADER: key})


def test_customs_is_busy_as_often_as_it_was_told(http: httpx.Client) -> None:
    answers = [post(http, "/customs", "S1") for _ in range(4)]
    assert [answer.status_code for answer in answers] == [429, 429, 201, 201]
    assert [answer.headers.get("Retry-After") for answer in answers] == ["1", "1", None, None]


def test_calls_are_counted_per_key(http: httpx.Client) -> None:
    first = [post(http, "/customs", "S1", "a").status_code for _ in range(3)]
    second = [post(http, "/customs", "S1", "b").status_code for _ in range(3)]
    assert first == second == [429, 429, 201]


def test_a_repeated_call_gets_the_same_number(http: httpx.Client, port: CustomsServer) -> None:
    numbers = [post(http, "/dock", "S3").json()["id"] for _ in range(2)]
    assert numbers[0] == numbers[1]
    assert post(http, "/dock", "S3", "other").json()["id"] != numbers[0]
    assert port.held_slots == {"k", "other"}


def test_the_carrier_refuses_whom_it_was_told_to(http: httpx.Client) -> None:
    refusal = post(http, "/carrier", "S2")
    assert (refusal.status_code, refusal.json()) == (409, {"error": "no lorry"})
    assert post(http, "/carrier", "S3").status_code == 201


def test_a_clearance_outlives_a_dock_slot(http: httpx.Client, port: CustomsServer) -> None:
    post(http, "/customs", "S3")
    post(http, "/dock", "S3")
    assert delete(http, "/customs").status_code == 409
    assert port.open_clearances == {"k"}
    assert delete(http, "/dock").status_code == 200
    assert delete(http, "/customs").status_code == 200
    assert not port.open_clearances | port.held_slots


def test_giving_back_twice_is_harmless(http: httpx.Client) -> None:
    assert [delete(http, "/dock").status_code for _ in range(2)] == [200, 200]


def test_an_unknown_system_is_not_found(http: httpx.Client) -> None:
    assert post(http, "/airport", "S3").status_code == 404


def test_every_call_is_kept(http: httpx.Client, port: CustomsServer) -> None:
    post(http, "/customs", "S3")
    delete(http, "/customs")
    assert [(call.method, call.path, call.key, call.status) for call in port.calls] == [
        ("POST", "/customs", "k", 201),
        ("DELETE", "/customs", "k", 200),
    ]
