"""The S3 service of the bed."""

from __future__ import annotations

from typing import Any

import boto3
from botocore.config import Config

from cluster import machine

BUCKET = "rcas-tests"


def client(*, connect_s: float = 60, read_s: float = 10, attempts: int = 3) -> Any:
    """A client of it, with the bucket of the tests made."""
    made = boto3.client(
        "s3",
        endpoint_url=machine.S3_URL,
        aws_access_key_id=machine.S3_KEY,
        aws_secret_access_key=machine.S3_SECRET,
        region_name="us-east-1",
        config=Config(
            s3={"addressing_style": "path"},
            connect_timeout=connect_s,
            read_timeout=read_s,
            retries={"total_max_attempts": attempts},
        ),
    )
    if BUCKET not in {found["Name"] for found in made.list_buckets()["Buckets"]}:
        made.create_bucket(Bucket=BUCKET)
    return made


def emptied(made: Any) -> Any:
    """The client, with nothing in the bucket."""
    for page in made.get_paginator("list_objects_v2").paginate(Bucket=BUCKET):
        for found in page.get("Contents", []):
            made.delete_object(Bucket=BUCKET, Key=found["Key"])
    return made
