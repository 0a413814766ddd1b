"""A real S3 service for tests: SeaweedFS, which keeps its promises on conditional writes.

$RCAS_TEST_S3 names the endpoint of one that runs already, such as http://10.88.0.1:8333 of a test cluster. Else
`weed` from $PATH or the cluster's cache is started. Use `bucket_url`, a place in it that is empty.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config

CACHED = "/var/cache/rcas-cluster/bin/weed"
KEY, SECRET = "rcas", "rcas-test-secret"
BUCKET = "rcas-test"
ACTIONS = ["Admin", "Read", "Write", "List", "Tagging"]
READER_KEY, READER_SECRET = "reader", "reader-test-secret"


def environment(endpoint: str) -> dict[str, str]:
    """What a process needs to use the service at `endpoint`."""
    given = os.environ if "RCAS_TEST_S3" in os.environ else {}
    return {
        "AWS_ENDPOINT_URL_S3": endpoint,
        "AWS_ACCESS_KEY_ID": given.get("AWS_ACCESS_KEY_ID", KEY),
        "AWS_SECRET_ACCESS_KEY": given.get("AWS_SECRET_ACCESS_KEY", SECRET),
        "AWS_REGION": given.get("AWS_REGION", "us-east-1"),
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "RCAS_S3_ADDRESSING_STYLE": "path",
    }


@contextmanager
def started(folder: Path, *more: dict[str, Any], policies: Sequence[dict[str, Any]] = ()) -> Iterator[str]:
    """Run a SeaweedFS of one's own in `folder`, with more identities and their policies; gives its endpoint."""
    weed = shutil.which("weed") or (CACHED if Path(CACHED).exists() else None)
    if weed is None:
        missing = f"needs $RCAS_TEST_S3, or SeaweedFS's weed on the PATH or at {CACHED}"
        pytest.fail(missing) if os.environ.get("RCAS_NO_SKIPS") else pytest.skip(missing)
    (folder / "data").mkdir(parents=True)
    identities = [
        {"name": "rcas", "credentials": [{"accessKey": KEY, "secretKey": SECRET}], "actions": ACTIONS},
        {
            "name": "reader",
            "credentials": [{"accessKey": READER_KEY, "secretKey": READER_SECRET}],
            "actions": ["Read", "List"],
        },
        *more,
    ]
    (folder / "s3.json").write_text(json.dumps({"identities": identities, "policies": list(policies)}))
    services = ["master", "volume", "filer", "s3"]
    ports = free_ports(2 * len(services))
    command = [
        weed,
        "server",
        f"-dir={folder / 'data'}",
        "-ip=127.0.0.1",
        "-ip.bind=127.0.0.1",
        "-s3",
        f"-s3.config={folder / 's3.json'}",
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
        "-s3.autoCreateBucket=false",
        "-volume.max=20",
        "-master.volumeSizeLimitMB=64",
        *(f"-{service}.port={port}" for service, port in zip(services, ports[::2], strict=True)),
        *(f"-{service}.port.grpc={port}" for service, port in zip(services, ports[1::2], strict=True)),
    ]
    endpoint = f"http://127.0.0.1:{ports[6]}"
    with (folder / "log").open("wb") as log:
        # The passphrase lets it encrypt what asks for that.
        own = {**os.environ, "WEED_S3_SSE_KEY": "a passphrase for tests"}
        process = subprocess.Popen(command, stdout=log, stderr=log, env=own)
    try:
        wait_for(endpoint, process, folder / "log")
        yield endpoint
    finally:
        process.kill()
        process.wait()


def free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()


def wait_for(endpoint: str, process: subprocess.Popen[bytes], log: Path, seconds: float = 60) -> None:
    """Until the service can keep an object: it answers some seconds before that."""
    deadline = time.monotonic() + seconds
    while process.poll() is None and time.monotonic() < deadline:
        try:
            make_bucket(endpoint)
            client(endpoint).put_object(Bucket=BUCKET, Key="ready", Body=b"1")
        except Exception:
            time.sleep(0.2)
        else:
            return
    pytest.fail(f"SeaweedFS did not come up:\n{log.read_text(errors='replace')[-3000:]}")


def client(endpoint: str, key: str | None = None, secret: str | None = None):
    given = environment(endpoint)
    return boto3.session.Session().client(
        "s3",
        endpoint_url=endpoint,
        aws_access_key_id=key or given["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=secret or given["AWS_SECRET_ACCESS_KEY"],
        region_name=given["AWS_REGION"],
        config=Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 1}),
    )


def make_bucket(endpoint: str) -> None:
    asked = client(endpoint)
    if BUCKET not in {bucket["Name"] for bucket in asked.list_buckets()["Buckets"]}:
        asked.create_bucket(Bucket=BUCKET)


@pytest.fixture(scope="session")
def s3_endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The endpoint of a real S3 service with the bucket `BUCKET`."""
    if endpoint := os.environ.get("RCAS_TEST_S3"):
        make_bucket(endpoint)
        yield endpoint
    else:
        with started(tmp_path_factory.mktemp("seaweed")) as endpoint:
            yield endpoint


@pytest.fixture
def bucket_url(s3_endpoint: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """A URL for a store with nothing in it yet; this process's environment leads to it."""
    for name, value in environment(s3_endpoint).items():
        monkeypatch.setenv(name, value)
    return f"s3://{BUCKET}/{uuid.uuid4().hex}"
