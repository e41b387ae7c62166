"""Redaction of texts and attributes: what is taken out, what stays, and how long it may take."""

import base64
import json
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracer.names import Attribute
from tracer.redaction import PERSONAL, SECRETS, Finding, Redaction, Redactor
from tracer.redaction.patterns import passes_luhn
from tracer.redaction.policy import SEAM

# Secrets are put together here: scanners of repositories would otherwise report this file.
_MIXED = "a1B2c3D4e5F6g7H8j9K0" * 3


def segment(value: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


JWT = f"{segment({'alg': 'none', 'typ': 'JWT'})}.{segment({'sub': 'ada', 'n': 1})}.c2lnbmF0dXJl"
PEM = f"-----BEGIN RSA PRIVATE KEY-----\n{_MIXED}\n{_MIXED}\n-----END RSA PRIVATE KEY-----"

TOKENS = {
    "openai": "sk-proj-" + _MIXED,
    "anthropic": "sk-" + "ant-api03-" + _MIXED,
    "google": "AI" + "za" + _MIXED[:35],
    "github": "gh" + "p_" + _MIXED[:36],
    "github fine-grained": "github" + "_pat_" + _MIXED,
    "gitlab": "gl" + "pat-" + _MIXED[:20],
    "slack": "xo" + "xb-1234567890-" + _MIXED,
    "stripe": "sk" + "_live_" + _MIXED[:24],
    "aws": "AK" + "IA" + "ABCDEFGHIJ234567",
    "hugging face": "h" + "f_" + _MIXED[:34],
    "groq": "gs" + "k_" + _MIXED[:52],
    "xai": "xa" + "i-" + _MIXED,
    "perplexity": "pp" + "lx-" + _MIXED,
    "langsmith": "ls" + "v2_pt_" + _MIXED,
    "npm": "np" + "m_" + _MIXED[:36],
    "pypi": "py" + "pi-" + _MIXED,
    "sendgrid": "S" + "G." + _MIXED[:22] + "." + _MIXED[:43],
    "databricks": "da" + "pi" + "0123456789abcdef" * 2,
    "vault": "hv" + "s." + _MIXED,
    "jwt": JWT,
    "private key": PEM,
}

PASSWORD = "hunter2-Äß"

IN_CONTEXT = {
    "url": f"postgresql://shop:{PASSWORD}@db.example.test:5432/orders",
    "url with @": f"amqp://shop:p@{PASSWORD}@mq.example.test/",
    "assignment": f"DB_PASSWORD={PASSWORD}",
    "spaced": f"the password: {PASSWORD}",
    "keyword argument": f"connect(host='db', password='{PASSWORD}')",
    "odbc": f"Server=tcp:db;Uid=shop;Pwd={PASSWORD};Encrypt=yes",
    "azure storage": f"AccountName=shop;AccountKey={PASSWORD};EndpointSuffix=x",
    "json": json.dumps({"user": "ada", "password": PASSWORD}, ensure_ascii=False),
    "json with quotes": json.dumps({"apiKey": f'"{PASSWORD}" \\ {PASSWORD}'}, ensure_ascii=False),
    "json in json": json.dumps(
        {"body": json.dumps({"secret": PASSWORD, "n": 1}, ensure_ascii=False)}
    ),
    "sentence in json": json.dumps({"client_secret": f"{PASSWORD} {PASSWORD}"}, ensure_ascii=False),
    "pair": repr([("x-api-key", PASSWORD), ("accept", "*/*")]),
    "query": f"https://api.example.test/v1?user=7&access_token={PASSWORD}&page=2",
    "bare token": f"https://api.example.test/v1?token={PASSWORD}",
    "signed url": f"https://blob.example.test/a.pdf?sv=2026&sig={PASSWORD}&se=1",
    "basic": f"Authorization: Basic {PASSWORD}",
    "header of another scheme": f"authorization: ApiKey {PASSWORD}",
    "header in a dict": repr({"Authorization": f"Bearer {PASSWORD}{_MIXED}"}),
    "bearer": f"401 for bearer {_MIXED}{PASSWORD.encode().hex()}",
    "cookie": f"Cookie: theme=dark; session={PASSWORD}",
    "slack webhook": f"POST https://hooks.slack.com/services/T0/B0/{PASSWORD.encode().hex()}",
}

HARMLESS = [
    "customs said 429 at attempt 3",
    "https://api.example.test:8443/v1/orders?page=2&next_page_token=x",
    "Unexpected token: } in JSON at position 7",
    "risk-assessment-of-something-rather-long-2026",
    "task-1234567890abcdefghijklmn",
    "gen_ai.usage.output_tokens=42 max_tokens=4096",
    "The key idea: cache the primary_key of each row",
    "Secretary: Bob, passwords are none of our business",
    "ssh://git@code.example.test/repo",
    "0193f2c1-7aa0-7c3e-9d1e-3f2b8a6c5d4e 0x7f3a deadbeefdeadbeef",
    "4111 things, 2026-11-22T01:50:45.335521Z, 1795312180872994774",
    "ada@example.test ordered 3",
    "eyJ is how JSON begins in base64",
    "He is the bearer of bad newsnewsnewsnews",
]


@pytest.mark.parametrize("name", TOKENS)
@pytest.mark.parametrize(
    "around", ["{}", "key {} used", '{{"a":"{}"}}', "x={}&y=1", "({})", "/{}/"]
)
def test_a_known_key_is_taken_out_and_nothing_else(name: str, around: str) -> None:
    redacted = Redactor().text(around.format(TOKENS[name]))
    assert TOKENS[name] not in redacted
    assert TOKENS[name][-12:] not in redacted
    before, after = around.format("|").split("|")
    assert redacted.startswith(before)
    assert redacted.endswith(after)


@pytest.mark.parametrize("name", IN_CONTEXT)
def test_a_secret_is_known_by_its_surroundings(name: str) -> None:
    redacted = Redactor().text(IN_CONTEXT[name])
    assert "[redacted:" in redacted
    assert PASSWORD not in redacted
    assert PASSWORD.encode("ascii", "backslashreplace").decode() not in redacted
    assert PASSWORD.encode().hex() not in redacted
    assert _MIXED not in redacted


def test_what_surrounds_a_secret_stays() -> None:
    redactor = Redactor()
    assert (
        redactor.text(IN_CONTEXT["url"])
        == "postgresql://shop:[redacted:url-password]@db.example.test:5432/orders"
    )
    assert json.loads(redactor.text(IN_CONTEXT["json in json"])) == {
        "body": '{"secret": "[redacted:secret]", "n": 1}'
    }
    assert redactor.text(IN_CONTEXT["query"]).endswith("=[redacted:secret]&page=2")


@pytest.mark.parametrize("text", HARMLESS)
def test_ordinary_texts_pass(text: str) -> None:
    assert Redactor().text(text) is text


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        ("ask ada.lovelace+x@mail.example.test.", "ask [redacted:email]."),
        ("card 4111 1111 1111 1111 declined", "card [redacted:card] declined"),
        ("card 4111-1111-1111-1112 declined", "card 4111-1111-1111-1112 declined"),
        ("at 1795312180872994774 ns", "at 1795312180872994774 ns"),
        ("no @ all", "no @ all"),
    ],
)
def test_personal_data_is_opt_in(text: str, redacted: str) -> None:
    assert Redactor().text(text) == text
    assert Redactor(Redaction(patterns=SECRETS + PERSONAL)).text(text) == redacted


@given(st.text("0123456789", min_size=12, max_size=18), st.integers(0, 17), st.integers(1, 9))
def test_the_check_digit_tells_cards_from_other_numbers(body: str, at: int, shift: int) -> None:
    [card] = [f"{body}{digit}" for digit in range(10) if passes_luhn(f"{body}{digit}")]
    at %= len(card)
    typo = f"{card[:at]}{(int(card[at]) + shift) % 10}{card[at + 1 :]}"
    assert not passes_luhn(typo)


@given(
    st.text(max_size=40),
    st.sampled_from(sorted(TOKENS)),
    st.sampled_from(list(" \n\t\"'=:(),;/[{<>|")),
    st.text(max_size=40),
)
def test_no_surroundings_hide_a_key(before: str, name: str, edge: str, after: str) -> None:
    redacted = Redactor().text(f"{before}{edge}{TOKENS[name]}{edge}{after}")
    assert TOKENS[name] not in redacted


@given(
    st.lists(
        st.one_of(
            st.text(max_size=10),
            st.sampled_from([*TOKENS.values(), *IN_CONTEXT.values(), '"', "\\", "=", "://", "@"]),
        ),
        max_size=8,
    )
)
def test_redacting_twice_finds_nothing_more(parts: list[str]) -> None:
    redactor = Redactor()
    once = redactor.text("".join(parts))
    assert redactor.text(once) == once


HOSTILE = [
    *"a-4@. \n\\\"'=:",
    *("sk-", "eyJ", "eyJaaaaaaaa.", "bearer ", "bearer a", "://", "://a:", "://a:b", "a@", "a@a."),
    *("secret=", 'secret="', "secret=\\", '"secret', 'secret":', "secret='", 'secret=\\"a\\'),
    *("password ", "password: ", "('secret', '", "token=", "key", "key=", "&sig=a", "?sig="),
    *("-----BEGIN ", "-----BEGIN PRIVATE KEY-----", "-----BEGIN PRIVATE KEY-----a-", "private key"),
    *("authorization: a ", "cookie=", "hooks.slack.com/", "xox", "4 ", "44 ", "4-", "hf_", "AKIA"),
]


@pytest.mark.slow
# Linear time is a second or so; quadratic time on a megabyte is hours.
@pytest.mark.timeout(300)
@pytest.mark.parametrize("unit", HOSTILE)
def test_a_megabyte_of_hostile_text_takes_linear_time(unit: str) -> None:
    text = (unit * (1_048_576 // len(unit))) + "!"
    redactor = Redactor(Redaction(patterns=SECRETS + PERSONAL, limit=len(text)))
    assert redactor.text(text)


@pytest.mark.parametrize("unit", HOSTILE)
def test_the_default_limit_bounds_the_text(unit: str) -> None:
    text = (unit * (1_048_576 // len(unit))) + "!"
    redactor = Redactor(Redaction(patterns=SECRETS + PERSONAL))
    redacted = redactor.text(text)
    assert redacted.endswith(f"… [cut: {len(text):,} characters]")


@given(st.integers(-SEAM - 200, 200), st.sampled_from(sorted(set(TOKENS) - {"private key"})))
def test_a_secret_on_the_cut_does_not_leave_in_part(offset: int, name: str) -> None:
    policy = Redaction(limit=3 * SEAM)
    before = "word " * ((policy.limit + offset) // 5)
    redacted = Redactor(policy).text(f"{before}{TOKENS[name]} and more {'x ' * SEAM}")
    assert TOKENS[name][:16] not in redacted
    assert len(redacted) < policy.limit + 100


@pytest.mark.parametrize("limit", [0, -1, SEAM])
def test_a_limit_too_small_to_see_secrets_is_refused(limit: int) -> None:
    with pytest.raises(ValueError, match=r"Redaction\.limit is"):
        Redaction(limit=limit)


def test_a_callback_decides_on_each_finding() -> None:
    seen: list[Finding] = []

    def decide(finding: Finding) -> str | None:
        seen.append(finding)
        return {"aws-key": finding.text, "google-key": "<hash>"}.get(finding.pattern.name)

    redactor = Redactor(Redaction(callback=decide))
    aws, google, github = TOKENS["aws"], TOKENS["google"], TOKENS["github"]
    assert (
        redactor.text(f"{aws} {google} {github}", "my.key")
        == f"{aws} <hash> [redacted:github-token]"
    )
    assert {(finding.key, finding.text) for finding in seen} == {
        ("my.key", aws),
        ("my.key", google),
        ("my.key", github),
    }


def test_a_callback_that_raises_leaks_nothing(caplog: pytest.LogCaptureFixture) -> None:
    def decide(finding: Finding) -> str | None:
        raise LookupError("no such customer")

    redactor = Redactor(Redaction(callback=decide, replacement="***"))
    assert redactor.text(f"{TOKENS['aws']} {TOKENS['aws']}") == "*** ***"
    assert len(caplog.records) == 1


def test_a_value_is_searched_however_it_is_nested() -> None:
    value = {"a": [{"b": (TOKENS["aws"], 7)}, TOKENS["aws"].encode()], "password": "x", "n": 1.5}
    redacted = Redactor().value(value)
    assert redacted == {
        "a": ({"b": ("[redacted:aws-key]", 7)}, b"[redacted:aws-key]"),
        "password": "[redacted:secret]",
        "n": 1.5,
    }
    clean = {"a": [{"b": ("x", 7)}, b"\xff\xfe"], "n": None}
    assert Redactor().value(clean) is clean


def test_nothing_nested_without_end_is_followed() -> None:
    value: Any = TOKENS["aws"]
    for _ in range(100):
        value = [value]
    assert TOKENS["aws"] not in repr(Redactor().value(value))


def test_keys_that_name_a_secret_lose_their_value() -> None:
    attributes = {
        "http.request.header.authorization": ("anything",),
        "db.password": 4711,
        "client.api_key": "x",
        "gen_ai.usage.input_tokens": 12,
        "gen_ai.token.type": "input",
        "session.id": "s-1",
    }
    redacted, touched = Redactor().attributes(attributes)
    assert touched == 3
    assert redacted == {
        **attributes,
        "http.request.header.authorization": "[redacted:secret]",
        "db.password": "[redacted:secret]",
        "client.api_key": "[redacted:secret]",
    }


def test_untouched_attributes_are_the_same_object() -> None:
    attributes = {"a": "b", "n": 1}
    redacted, touched = Redactor().attributes(attributes)
    assert redacted is attributes
    assert touched == 0


def test_an_allow_list_removes_all_else_and_is_searched_too() -> None:
    policy = Redaction(allow=frozenset({"kept", "also"}))
    redacted, touched = Redactor(policy).attributes(
        {"kept": "1", "also": TOKENS["aws"], "gone": "2", Attribute.RUN_ID.value: "r"}
    )
    assert redacted == {"kept": "1", "also": "[redacted:aws-key]", Attribute.RUN_ID.value: "r"}
    assert touched == 2


def test_ids_pass_unless_asked() -> None:
    attributes = {Attribute.WORKFLOW_ID.value: TOKENS["aws"]}
    assert Redactor().attributes(attributes) == (attributes, 0)
    redacted, touched = Redactor(Redaction(keep=frozenset())).attributes(attributes)
    assert redacted == {Attribute.WORKFLOW_ID.value: "[redacted:aws-key]"}
    assert touched == 1


@pytest.mark.parametrize("key", [Attribute.FAILURE_MESSAGE.value, "exception.message"])
def test_failure_messages_cannot_be_exempted(key: str) -> None:
    for allow in (None, frozenset[str]()):
        policy = Redaction(keep=frozenset({key}), allow=allow)
        assert Redactor(policy).attributes({key: TOKENS["aws"]})[0] == {key: "[redacted:aws-key]"}


def test_remembering_clean_texts_is_bounded() -> None:
    redactor = Redactor()
    for number in range(20_000):
        redactor.text(f"text {number}")
        redactor.attributes({f"key{number}": 1})
    sizes = [len(memory) for memory in vars(redactor).values() if isinstance(memory, dict)]
    assert sizes
    assert max(sizes) <= 4_096


def test_a_policy_needs_no_opentelemetry() -> None:
    code = "import sys, tracer.redaction\nprint(*sys.modules)"
    output = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout
    loaded = {name.partition(".")[0] for name in output.split()}
    assert "tracer" in loaded
    assert loaded.isdisjoint({"opentelemetry", "temporalio", "google"})
