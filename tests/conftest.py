"""Fixtures that tests of several folders use."""

from contracts.seaweed import bucket_url, s3_endpoint  # noqa: F401  (fixtures)
