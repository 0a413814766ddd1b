"""Where objects lie in an S3 service, and how it wants to be asked. boto3 reads the rest from its own variables."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal, NamedTuple, cast, get_args

from rcas.errors import InvalidSpec

SCHEME = "s3://"
AddressingStyle = Literal["auto", "path", "virtual"]
Encryption = Literal["AES256", "aws:kms"]

ADDRESSING_VARIABLE = "RCAS_S3_ADDRESSING_STYLE"
ENCRYPTION_VARIABLE = "RCAS_S3_SSE"
KMS_KEY_VARIABLE = "RCAS_S3_SSE_KMS_KEY_ID"


class S3Location(NamedTuple):
    """A bucket and a prefix in it, `""` or ending with '/'."""

    bucket: str
    prefix: str

    @classmethod
    def parse(cls, url: str) -> S3Location:
        """Read `s3://bucket` or `s3://bucket/prefix`.

        Raises:
            InvalidSpec: any other form.
        """
        match = re.fullmatch(r"s3://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:/(.*))?", url)
        prefix = (match[2] or "").strip("/") if match else ""
        if not match or (prefix and any(part in {"", ".", ".."} for part in prefix.split("/"))):
            raise InvalidSpec("store", got=url, allowed="s3://bucket or s3://bucket/prefix")
        return cls(match[1], f"{prefix}/" if prefix else "")

    def url(self, name: str) -> str:
        """The URL of the object `name` below the prefix."""
        return f"{SCHEME}{self.bucket}/{self.prefix}{name}"


class S3Settings(NamedTuple):
    """What boto3 does not read from the environment by itself.

    Attributes:
        addressing_style: path puts the bucket into the path, as most own servers want it.
        put_arguments: of every write: server-side encryption.
    """

    addressing_style: AddressingStyle = "auto"
    put_arguments: Mapping[str, str] = {}

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> S3Settings:
        """The settings in a process's environment.

        Raises:
            InvalidSpec: a value that is not allowed.
        """
        style = cast(AddressingStyle, _choice(environment, ADDRESSING_VARIABLE, get_args(AddressingStyle)) or "auto")
        encryption = _choice(environment, ENCRYPTION_VARIABLE, get_args(Encryption))
        key = environment.get(KMS_KEY_VARIABLE)
        arguments = {"ServerSideEncryption": encryption} if encryption else {}
        if key:
            if encryption != "aws:kms":
                raise InvalidSpec(KMS_KEY_VARIABLE, got=key, allowed=f"only with {ENCRYPTION_VARIABLE}=aws:kms")
            arguments["SSEKMSKeyId"] = key
        return cls(style, arguments)


def _choice(environment: Mapping[str, str], variable: str, allowed: tuple[str, ...]) -> str | None:
    value = environment.get(variable)
    if value and value not in allowed:
        raise InvalidSpec(variable, got=value, allowed=", ".join(allowed))
    return value or None
