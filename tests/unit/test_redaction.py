import pytest

from scorefleet.tasks.records.redaction import REDACTED, redact, redact_values

CANARY = "canary-7f3a"


@pytest.mark.parametrize(
    "key",
    [
        "password",
        "db_passwd",
        "DB_PWD",
        "api_token",
        "client_secret",
        "aws_access_key_id",
        "AWS_SECRET_ACCESS_KEY",
        "storage.account_key",
        "apiKey",
        "private-key",
        "credentials",
        "Authorization",
        "basic_auth",
    ],
)
def test_a_key_that_speaks_of_a_secret_hides_its_value(key: str) -> None:
    assert redact_values({key: CANARY}) == {key: REDACTED}


@pytest.mark.parametrize(
    "text",
    [
        f"postgresql://user:{CANARY}@host:5432/db",
        f"postgresql://user:{CANARY}/p@ss@host/db",
        f"https://{CANARY}@host/path",
        f"redis://:{CANARY}@host",
        f"[{{'uri': 's3://user:{CANARY}@bucket'}}]",
        f"Authorization: Bearer {CANARY}",
        f"https://host/file?sig={CANARY}&v=1",
        f"AccountName=a;AccountKey={CANARY};EndpointSuffix=core",
        f"host=h password={CANARY} user=u",
        f"password: {CANARY}",
        f'{{"user": "u", "password": "{CANARY}"}}',
        f"{{'api-key': '{CANARY}', 'region': 'x'}}",
        f"-----BEGIN RSA PRIVATE KEY-----\n{CANARY}\n-----END RSA PRIVATE KEY-----",
    ],
)
def test_a_credential_inside_a_value_is_hidden(text: str) -> None:
    shown = redact_values({"setting": text})["setting"]
    assert CANARY not in shown
    assert REDACTED in shown


@pytest.mark.parametrize("token", ["AKIAIOSFODNN7EXAMPLE", "ghp_16C7e42F292c6912E7710", "eyJhbGciOiJ9.eyJzdWIi.c2ln"])
def test_a_known_form_of_token_is_hidden(token: str) -> None:
    assert redact(f"use {token} here") == f"use {REDACTED} here"


def test_what_is_no_secret_stays() -> None:
    values = {
        "train.learning_rate": 0.001,
        "prepare.data": "sklearn:digits",
        "root": "s3://bucket/folder",
        "tracking_uri": "http://127.0.0.1:5000/#/experiments/1",
        "design": "design=3",
        "hint": "secrets: none; a token is asked for",
        "author": "me@example.org",
        "sample.target_acceptance": None,
    }
    assert redact_values(values) == {key: str(value) for key, value in values.items()}


def test_a_hidden_uri_still_says_where() -> None:
    assert redact(f"http://me:{CANARY}@host:5000/path") == f"http://{REDACTED}@host:5000/path"


def test_an_unset_secret_is_shown_as_unset() -> None:
    assert redact_values({"password": None}) == {"password": "None"}
