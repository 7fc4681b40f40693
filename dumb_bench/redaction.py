"""Secrets kept out of what is written or shown: credentials in a URI, tokens in the text of an error.

What cannot be known to be a secret cannot be taken out: a plugin that prints its own password under another name is
not caught.
"""

from __future__ import annotations

import os
import re
import traceback
import urllib.parse
from collections.abc import Mapping

HIDDEN = "***"

_SHORTEST = 8
"""A value of the environment with fewer letters is more likely a word than a secret."""
_NAMES = re.compile(r"(?i)secret|token|passw|passphrase|credential|(?:api|access|private|account)_?key|_pat$")
_NO_SECRET = re.compile(r"(?i)(_path|_file|_dir|_mode|_url|_uri|_sock)$|^google_application_credentials$")

_URI = re.compile(r"(?i)\b([a-z][a-z0-9+.-]{0,20}://)[^\s'\"<>]*@")
_KINDS = r"secret|token|passw(?:or)?d|passphrase|(?:api|access|private|account)_?key|signature"
_WORD = rf"[\w-]{{0,60}}(?:{_KINDS})[\w-]{{0,60}}"
_QUOTED = re.compile(rf"(?i)(['\"]?\b{_WORD}['\"]?\s*[:=]\s*b?)(?:'[^'\n]+'|\"[^\"\n]+\")")
_BARE = re.compile(rf"(?i)\b({_WORD}=)(?!\*|['\"])[^\s'\",;&()\[\]{{}}]+")
_HEADER = re.compile(r"(?i)(\bauthorization['\"]?\s*[:=]\s*['\"]?)(?:(?:bearer|basic|token)\s+)?[^\s'\",]+")
_BEARER = re.compile(r"(?i)\b(bearer )[\w.~+/=-]{16,}")
_AWS_ID = re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b")
_KEY_BLOCK = re.compile(r"(?s)-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)")

_PUBLIC_OPTIONS = frozenset(
    ("region", "scheme", "endpoint_override", "allow_bucket_creation", "allow_bucket_deletion", "allow_delayed_open",
     "check_directory_existence_before_creation", "force_virtual_addressing", "tls_verify_certificates", "project_id",
     "retry_limit_seconds")
)  # fmt: skip
"""Options of an object store's URI that anyone may read; all others are taken for secrets."""


def without_secrets(text: str, environment: Mapping[str, str] | None = None) -> str:
    """Return text with `***` where a secret stood.

    Taken out: the user part of every URI; values of `environment` (default: this process's) whose name says secret,
    token, password or key; the same names with a value in the text; authorisation headers, AWS key ids, private keys.
    """
    for value in _values(os.environ if environment is None else environment):
        text = text.replace(value, HIDDEN)
    text = _KEY_BLOCK.sub(HIDDEN, text)
    text = _URI.sub(rf"\1{HIDDEN}@", text)
    text = _HEADER.sub(rf"\1{HIDDEN}", text)
    text = _BEARER.sub(rf"\1{HIDDEN}", text)
    text = _QUOTED.sub(rf"\1'{HIDDEN}'", text)
    text = _BARE.sub(rf"\1{HIDDEN}", text)
    return _AWS_ID.sub(HIDDEN, text)


def public_uri(place: str) -> str:
    """Return a folder or URI as it may be written down: no user part, and only options known to hold no secret.

    It opens the same place, with credentials from the environment or from the machine. A local path is returned as is.
    """
    scheme, colon, _ = place.partition("://")
    if not colon or scheme == "file":
        return place
    parts = urllib.parse.urlsplit(place)
    options = [item for item in urllib.parse.parse_qsl(parts.query) if item[0] in _PUBLIC_OPTIONS]
    host = parts.netloc.rpartition("@")[2]
    if ":" in host:  # no bucket's name: the slash of an unquoted secret has cut the user part in two
        return f"{scheme}://{HIDDEN}"
    return urllib.parse.urlunsplit((parts.scheme, host, parts.path, urllib.parse.urlencode(options), ""))


def crash_text(error: BaseException) -> str:
    """Return the traceback of a crash without secrets."""
    return without_secrets("".join(traceback.format_exception(error))).rstrip()


def _values(environment: Mapping[str, str]) -> list[str]:
    """Return the secrets of an environment as they may stand in a text, the longest first."""
    found = set()
    for name, value in environment.items():
        if len(value) >= _SHORTEST and _NAMES.search(name) and not _NO_SECRET.search(name):
            found |= {value, repr(value)[1:-1], urllib.parse.quote(value, safe=""), urllib.parse.quote(value)}
    return sorted(found, key=len, reverse=True)
