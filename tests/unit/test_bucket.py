"""What a bucket is called, and what is said of its errors."""

import pytest
from obstore.exceptions import GenericError

from scorefleet.tasks.errors import UsageError
from scorefleet.tasks.store import bucket
from scorefleet.tasks.store.places import place_of


def test_a_place_has_one_name():
    assert place_of("s3://bucket/a/b/") == place_of("s3://bucket/a/b") == "s3://bucket/a/b"
    assert place_of("file:///tmp/x/../y") == place_of("/tmp/y")


@pytest.mark.parametrize(
    "uri", ["s3://", "s3:///x", "s3://b", "s3://bucket/../x", "s3://bucket/a//b", "s3://bucket/a?b"]
)
def test_what_is_no_place_in_a_bucket_is_refused(uri):
    with pytest.raises(UsageError, match="it must be s3://BUCKET/PATH"):
        place_of(uri)


def test_credentials_in_a_uri_are_refused_and_not_repeated():
    with pytest.raises(UsageError) as caught:
        place_of("s3://AKIAEXAMPLE:hush@bucket/x")
    assert "hush" not in str(caught.value)
    assert "AWS_ACCESS_KEY_ID" in str(caught.value)


def test_an_error_tells_the_servers_code_and_nothing_else_of_its_answer():
    answer = "<Error><Code>InvalidAccessKeyId</Code><AWSAccessKeyId>AKIACANARY</AWSAccessKeyId></Error>"
    error = GenericError(f"Generic S3 error: Error performing PUT x in 1s - status code: 403 Forbidden: {answer}")
    assert bucket.reason_of(error) == "InvalidAccessKeyId"
    assert "AKIACANARY" not in bucket.remedy_of(error)


@pytest.mark.parametrize("answer", ["403 Forbidden: <Code>QuotaExceeded</Code>", "507 Insufficient Storage: "])
def test_a_full_bucket_is_to_be_given_room(answer):
    error = GenericError(f"Generic S3 error: Server returned non-2xx status code: {answer}")
    assert bucket.remedy_of(error) == "make room in the bucket, or have its quota raised"


def test_a_request_is_sent_again_only_where_that_can_help(monkeypatch):
    monkeypatch.setattr(bucket, "FIRST_WAIT_S", 0.0)
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "4")
    for status, times in (("503 Service Unavailable", 4), ("429 Too Many Requests", 4), ("400 Bad Request", 1)):
        sent = []

        def request(status=status, sent=sent):
            sent.append(status)
            raise GenericError(f"error - Server returned non-2xx status code: {status}: ")

        with pytest.raises(GenericError):
            bucket.attempt(request)
        assert len(sent) == times
