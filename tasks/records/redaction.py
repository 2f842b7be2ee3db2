"""Keeps passwords and tokens out of what is recorded: parameters, tags, and messages that name a URI."""

import re
from collections.abc import Mapping
from typing import Any

REDACTED = "[redacted]"

SECRET_KEY = re.compile(
    r"passw|passphrase|pwd|secret|token|credential|authoriz|bearer|"
    r"(api|access|private|account|encryption|signing)[-_. ]?key|[-_.]auth$|^auth$",
    re.IGNORECASE,
)
# What follows `://` up to the last `@`: a password may hold `/`, `:` and `@`; without a colon it is a token.
USERINFO = re.compile(r"(?<=://)(?:[^\s/?#:]*:\S*|[^\s/?#]*)(?=@)")
SECRET_VALUES = (
    re.compile(r"\b(?:AKIA|ASIA)[0-9A-Z]{12,}"),
    re.compile(r"(?<=\bBearer )[^\s'\",]+|(?<=\bBasic )[A-Za-z0-9+/=]{8,}", re.IGNORECASE),
    re.compile(r"\b(?:gh[pousr]_|github_pat_|glpat-|hf_|xox[abp]-|sk-)[\w-]{8,}"),
    re.compile(r"\beyJ[\w-]{8,}\.[\w-]+\.[\w-]*"),  # a JSON web token
    re.compile(
        r"((?:password|passwd|pwd|token|secret|sig|signature|account[-_]?key|api[-_]?key|access[-_]?key)"
        r"[\"']?\s*[:=]\s*[\"']?)[^&;\s'\",}]+",
        re.IGNORECASE,
    ),
    re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*", re.DOTALL),
)


def redact(text: str) -> str:
    """`text` without what looks like a credential: `s://user:password@host` becomes `s://[redacted]@host`."""
    text = USERINFO.sub(REDACTED, text)
    for pattern in SECRET_VALUES:
        text = pattern.sub(_without_secret, text)
    return text


def without_passwords(text: str) -> str:
    """`text` without the passwords of URIs; what else looks like a credential may be a word of the sentence."""
    return USERINFO.sub(REDACTED, text)


def redact_values(values: Mapping[str, Any]) -> dict[str, str]:
    """Every value as redacted text; all of it where the key itself speaks of a secret."""
    return {key: _redact_value(key, value) for key, value in values.items()}


def _redact_value(key: str, value: Any) -> str:
    is_secret = SECRET_KEY.search(key) and value not in (None, "")
    return REDACTED if is_secret else redact(str(value))


def _without_secret(match: re.Match[str]) -> str:
    """Keep the name, which tells what was there."""
    return (match[1] if match.re.groups else "") + REDACTED
