"""What an S3 service answers to the requests that rcas sends: the same cases for the simulated and a real one."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError


class S3Contract:
    """Derive from it with `bucket` and a fixture `s3` that gives a client of boto3's."""

    bucket: str

    @pytest.fixture
    def place(self) -> str:
        return f"{uuid.uuid4().hex}/"

    def put(self, s3: Any, key: str, data: bytes, **condition: str) -> str:
        return s3.put_object(Bucket=self.bucket, Key=key, Body=data, **condition)["ETag"]

    def get(self, s3: Any, key: str) -> Any:
        return s3.get_object(Bucket=self.bucket, Key=key)

    def test_the_etag_is_that_of_the_content(self, s3: Any, place: str) -> None:
        written = self.put(s3, f"{place}a", b"one")
        assert written == f'"{hashlib.md5(b"one").hexdigest()}"'
        found = self.get(s3, f"{place}a")
        assert (found["Body"].read(), found["ETag"]) == (b"one", written)

    def test_what_is_missing_is_404_no_such_key(self, s3: Any, place: str) -> None:
        assert refusal(lambda: self.get(s3, f"{place}nothing")) == (404, "NoSuchKey")

    def test_a_create_of_what_exists_is_412(self, s3: Any, place: str) -> None:
        self.put(s3, f"{place}a", b"one", IfNoneMatch="*")
        again = lambda: self.put(s3, f"{place}a", b"one", IfNoneMatch="*")  # noqa: E731
        assert refusal(again) == (412, "PreconditionFailed")

    def test_a_replace_of_another_version_is_412(self, s3: Any, place: str) -> None:
        first = self.put(s3, f"{place}a", b"one")
        self.put(s3, f"{place}a", b"two", IfMatch=first)
        assert refusal(lambda: self.put(s3, f"{place}a", b"three", IfMatch=first)) == (412, "PreconditionFailed")
        assert self.get(s3, f"{place}a")["Body"].read() == b"two"

    def test_a_replace_of_what_is_missing_is_404(self, s3: Any, place: str) -> None:
        first = self.put(s3, f"{place}a", b"one")
        s3.delete_object(Bucket=self.bucket, Key=f"{place}a")
        status, _ = refusal(lambda: self.put(s3, f"{place}a", b"two", IfMatch=first))
        # AWS says 404 NoSuchKey, SeaweedFS 412: rcas takes both for a conflict.
        assert status in {404, 412}

    def test_a_write_without_condition_replaces(self, s3: Any, place: str) -> None:
        self.put(s3, f"{place}a", b"one")
        self.put(s3, f"{place}a", b"two")
        assert self.get(s3, f"{place}a")["Body"].read() == b"two"

    def test_a_delete_of_what_is_missing_is_none(self, s3: Any, place: str) -> None:
        s3.delete_object(Bucket=self.bucket, Key=f"{place}nothing")

    def test_a_list_comes_in_pages(self, s3: Any, place: str) -> None:
        for number in range(5):
            self.put(s3, f"{place}{number}", b"")
        keys, token = list[str](), dict[str, str]()
        while True:
            page = s3.list_objects_v2(Bucket=self.bucket, Prefix=place, MaxKeys=2, **token)
            keys += [found["Key"] for found in page["Contents"]]
            if not page["IsTruncated"]:
                break
            token = {"ContinuationToken": page["NextContinuationToken"]}
        assert keys == [f"{place}{number}" for number in range(5)]

    def test_another_bucket_is_404_no_such_bucket(self, s3: Any) -> None:
        asked = lambda: s3.get_object(Bucket="no-such-bucket-here", Key="a")  # noqa: E731
        assert refusal(asked) == (404, "NoSuchBucket")


def refusal(act: Callable[[], object]) -> tuple[int, str]:
    """(status, code) with which a request is refused."""
    with pytest.raises(ClientError) as caught:
        act()
    answer: Any = caught.value.response
    return answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"]["Code"]
