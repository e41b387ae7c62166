"""What counts as a secret: patterns as data, each with its reason.

Every expression here takes time linear in the length of the text, whatever the text: a run of
characters is entered only at its start (the look-behind excludes what the body accepts), bodies
are possessive (`++`, `*+`), and what may be tried again is bounded. Telemetry is hostile input, and
an exporter that hangs on one value loses all the others.

A library for this would weigh more than the tracer: detect-secrets 1.5 takes 0.27 s to import and
1.9 ms for a line of text, and reads files, where this reads 20 to 40 short values of each span.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Pattern:
    """One kind of text that must not leave the process."""

    name: str
    """Appears in place of what was found."""
    regex: re.Pattern[str]
    """What is replaced: the last group that took part in a match, else the whole match. It is
    searched in at most `Redaction.limit` characters; keep it linear, or hostile text is slow."""
    reason: str
    """Why it is here, for those who read the policy."""
    hints: tuple[str, ...] = ()
    """In lower case: one of them is part of every match. A text without any is not searched, which
    makes most texts free. Empty: always search."""
    shortest: int = 0
    """Characters of the shortest match; texts that are shorter are not even looked into."""
    check: Callable[[str], bool] | None = None
    """Whether what was found is what it looks like, such as a check digit; `None` means yes."""


def _token(name: str, prefix: str, length: int, reason: str) -> Pattern:
    """A key that its issuer marks with a prefix, and at least `length` characters after it."""
    regex = re.compile(rf"(?<![A-Za-z0-9_-]){re.escape(prefix)}[A-Za-z0-9_.-]{{{length},}}+")
    return Pattern(name, regex, reason, (prefix.lower(),), len(prefix) + length)


_VALUE = (
    # A value within JSON that is itself quoted in JSON ends at the next escaped quote.
    r"""(?:\\++"([^"\\]*+(?:\\++(?!")[^"\\]*+)*+)"""
    r"""|"([^"\\]*+(?:\\.[^"\\]*+)*+)"""
    r"""|'([^'\\]*+(?:\\.[^'\\]*+)*+)"""
    r"""|([^\s"'\\&,;]++))"""
)
_EQUALS = r"""(?:\\{0,8}["']?\s{0,8}[:=]\s{0,8}|["'],\s{0,8}b?)"""
"""After a name: `name=`, `"name": `, and `('name', ` as Python shows a pair."""


def _assignment(name: str, names: str, reason: str, hints: tuple[str, ...]) -> Pattern:
    flags = re.IGNORECASE | re.DOTALL
    return Pattern(name, re.compile(f"(?:{names}){_EQUALS}{_VALUE}", flags), reason, hints)


_VENDOR_KEYS: Final = (
    _token("google-key", "AIza", 35, "Google API keys, Gemini among them"),
    _token("google-key", "ya29.", 20, "Google OAuth access tokens"),
    _token("google-key", "GOCSPX-", 20, "Google OAuth client secrets"),
    _token("github-token", "ghp_", 30, "GitHub personal access tokens"),
    _token("github-token", "gho_", 30, "GitHub OAuth tokens"),
    _token("github-token", "ghu_", 30, "GitHub app tokens of users"),
    _token("github-token", "ghs_", 30, "GitHub app tokens of servers"),
    _token("github-token", "ghr_", 30, "GitHub refresh tokens"),
    _token("github-token", "github_pat_", 22, "GitHub fine-grained tokens"),
    _token("gitlab-token", "glpat-", 20, "GitLab personal access tokens"),
    _token("slack-token", "xapp-", 10, "Slack app tokens"),
    _token("stripe-key", "sk_live_", 10, "Stripe secret keys"),
    _token("stripe-key", "rk_live_", 10, "Stripe restricted keys"),
    _token("stripe-key", "sk_test_", 10, "Stripe test keys open test data"),
    _token("stripe-key", "whsec_", 16, "Webhook signing secrets"),
    _token("huggingface-token", "hf_", 30, "Hugging Face tokens"),
    _token("groq-key", "gsk_", 30, "Groq keys"),
    _token("xai-key", "xai-", 30, "xAI keys"),
    _token("perplexity-key", "pplx-", 30, "Perplexity keys"),
    _token("replicate-token", "r8_", 30, "Replicate tokens"),
    _token("langsmith-key", "lsv2_", 30, "LangSmith keys"),
    _token("npm-token", "npm_", 30, "npm tokens"),
    _token("pypi-token", "pypi-", 50, "Package index tokens"),
    _token("sendgrid-key", "SG.", 30, "SendGrid keys"),
    _token("databricks-token", "dapi", 32, "Databricks tokens"),
    _token("vault-token", "hvs.", 20, "HashiCorp Vault tokens"),
)

_PASSWORD_NAMES = (
    "passw(?:or)?d|passphrase|pwd|secret"
    "|(?:access|refresh|id|auth|api|bearer|session|security|csrf|xsrf)[_-]?token"
    "|(?:api|access|account|private|secret|encryption|signing)[_-]?key"
)

SECRETS: Final = (
    Pattern(
        "private-key",
        re.compile(
            r"-----BEGIN [A-Z0-9 ]{0,30}PRIVATE KEY[A-Z ]{0,10}-----"
            r"[^-]*+(?:-(?!----END)[^-]*+)*+(?:-----END [A-Z0-9 ]{0,50}-----)?"
        ),
        "PEM and PGP private keys; one that is cut off counts too",
        ("private key",),
    ),
    Pattern(
        "jwt",
        re.compile(
            r"(?<![A-Za-z0-9_-])eyJ[A-Za-z0-9_-]{8,}+\.[A-Za-z0-9_-]{8,}+(?:\.[A-Za-z0-9_-]*+)*+"
        ),
        "JSON Web Tokens: sessions, service accounts, Temporal Cloud API keys",
        ("eyj",),
    ),
    Pattern(
        "bearer",
        re.compile(
            r"(?<![a-z0-9])bearer\s{1,4}((?=[a-z._~+/=-]*+[0-9])[a-z0-9._~+/=-]{16,}+)",
            re.IGNORECASE,
        ),
        "OAuth access tokens in headers and in the errors that quote them",
        ("bearer",),
    ),
    Pattern(
        "authorization",
        re.compile(
            rf"authorization{_EQUALS}b?[\\\"']{{0,8}}"
            r"((?:[a-z0-9_-]{1,32}+[ ]{1,4})?[^\s\"'\\,]{4,}+)",
            re.IGNORECASE,
        ),
        "Credentials of any scheme behind an Authorization header",
        ("authorization",),
    ),
    Pattern(
        "cookie",
        re.compile(
            rf"(?<![a-z])(?:set-)?cookie{_EQUALS}b?[\\\"']{{0,8}}([^\r\n\"\\]++)", re.IGNORECASE
        ),
        "Sessions in Cookie and Set-Cookie headers",
        ("cookie",),
    ),
    Pattern(
        "api-key",
        re.compile(r"(?<![A-Za-z0-9_-])sk-(?=[A-Za-z_-]*+[0-9])[A-Za-z0-9_-]{18,}+"),
        "Keys of OpenAI, Anthropic, Langfuse, OpenRouter and others that begin with sk-",
        ("sk-",),
    ),
    *_VENDOR_KEYS,
    Pattern(
        "slack-token",
        re.compile(r"(?<![A-Za-z0-9_-])xox[a-z][A-Za-z0-9._-]{8,}+"),
        "Slack tokens",
        ("xox",),
    ),
    Pattern(
        "slack-webhook",
        re.compile(r"hooks\.slack\.com/(?:services|workflows|triggers)/([A-Za-z0-9_/+-]++)"),
        "Who knows the address may post",
        ("hooks.slack.com",),
    ),
    Pattern(
        "aws-key",
        re.compile(r"(?<![A-Za-z0-9])(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}(?![A-Za-z0-9])"),
        "AWS access key ids",
        ("akia", "asia", "abia", "acca"),
    ),
    Pattern(
        "url-password",
        re.compile(r"://[^\s/?#:@\"'<>]*+:([^\s/?#\"'<>]+)@"),
        "Passwords in URLs: database and broker connection strings, package indexes, proxies",
        ("://",),
    ),
    Pattern(
        "url-signature",
        re.compile(
            r"[?&;,\s](?:sig|signature|x-amz-signature|x-amz-security-token|x-goog-signature)="
            r"([^\s&\"'<>,;]++)",
            re.IGNORECASE,
        ),
        "Signed addresses open what they point to until they expire",
        ("sig=", "signature=", "security-token="),
    ),
    _assignment(
        "secret",
        _PASSWORD_NAMES,
        "Named secrets in connection strings, JSON, query strings, settings and keyword arguments",
        ("passw", "passphrase", "pwd", "secret", "token", "key"),
    ),
    _assignment(
        "secret",
        r"(?<![a-z0-9_.-])token(?==|\\{0,8}[\"'])",
        "A bare token=…, but not the end of next_page_token or of “unexpected token: }”",
        ("token",),
    ),
)
"""Credentials. Part of every default policy."""


def passes_luhn(text: str) -> bool:
    """Whether the digits of the text end in the check digit of payment cards."""
    digits = [int(character) for character in text if character in "0123456789"]
    doubled = (sum(divmod(2 * digit, 10)) for digit in digits[-2::-2])
    return 12 < len(digits) < 20 and (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0


PERSONAL: Final = (
    Pattern(
        "email",
        re.compile(
            r"(?<![\w.+%-])[\w.+%-]{1,64}+@(?:[A-Za-z0-9-]{1,63}+\.){1,8}[A-Za-z]{2,24}(?![\w-])"
        ),
        "E-mail addresses name a person",
        ("@",),
    ),
    Pattern(
        "card",
        # Cards begin with 2 to 6; nanoseconds since 1970, as long as a card, with 1.
        re.compile(r"(?<![\w.-])[2-6][0-9](?:[ -]?[0-9]){11,17}(?![\w-])"),
        "Payment card numbers, told from other numbers by their check digit",
        check=passes_luhn,
    ),
)
"""Personal data. Not in the default policy: workflows are often about it, and a trace in which each
customer reads “redacted” helps nobody. `Redaction(patterns=SECRETS + PERSONAL)` adds them."""

SECRET_KEYS: Final = (
    Pattern(
        "secret",
        re.compile(
            r"(?:^|[._-])(?:passw(?:or)?d|passphrase|pwd|secret|credentials?|(?:proxy-)?authorization"
            r"|(?:set-)?cookie|(?:access|refresh|id|auth|api|bearer|session|security)[_-]?token"
            r"|(?:x[_-])?(?:api|access|account|private|secret)[_-]?key)$",
            re.IGNORECASE,
        ),
        "The last word of the attribute's key says that its value is a secret",
    ),
)
"""Attribute keys whose values are replaced as a whole."""
