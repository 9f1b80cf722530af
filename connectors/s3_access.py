"""S3 through boto3, for pictures and for files of videos: one way to find credentials, to retry and to tell errors.

Credentials, region and endpoint come from where every AWS program takes them (AWS_ACCESS_KEY_ID, AWS_PROFILE,
AWS_ENDPOINT_URL, a role). Not through s3fs: it pins a botocore that is older than the one of current boto3 releases.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from workspace.errors import ToolUnavailable, UserError
from workspace.redaction import keep_secret


def s3_session(setting: str) -> Any:
    """A boto3 session. setting: the key that asks for it, for the error where boto3 is missing."""
    try:
        import boto3
    except ImportError:
        raise UserError(
            f"{setting} needs boto3, which is not installed.", "Run `pip install 'fewclicks[s3]'`."
        ) from None
    return boto3.Session()


def s3_client(session: Any, where: str, setting: str) -> Any:
    """A client that tries again, with growing pauses, what may pass."""
    from botocore.config import Config

    settings = Config(retries={"mode": "standard", "max_attempts": 4}, connect_timeout=10, read_timeout=60)
    with s3_errors(where, setting):
        credentials = session.get_credentials()
        if credentials is not None:
            keep_secret(credentials.secret_key)
            keep_secret(credentials.token or "")
        return session.client("s3", config=settings)


@contextmanager
def s3_errors(where: str, setting: str) -> Iterator[None]:
    """Turns failures of boto3 into ToolUnavailable or UserError. No key is in any of its messages.

    where: the address that is spoken of;  setting: the key that names it
    """
    try:
        from boto3.exceptions import S3UploadFailedError
        from botocore.exceptions import (
            BotoCoreError,
            ClientError,
            ConnectionError,
            HTTPClientError,
            NoCredentialsError,
        )
    except ImportError:
        yield  # `s3_session` says so
        return
    try:
        yield
    except NoCredentialsError:
        raise UserError(
            f"There are no credentials for {where}.", "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE."
        ) from None
    except S3UploadFailedError as error:
        raise _refused(where, setting, error.__cause__ or error.__context__ or error) from None
    except ClientError as error:
        raise _refused(where, setting, error) from None
    except (HTTPClientError, ConnectionError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ToolUnavailable(f"{where} does not answer ({reason}).", "Run again; nothing was lost.") from None
    except BotoCoreError as error:
        raise UserError(f"{where} cannot be used: {' '.join(str(error).split())[:200]}.") from None


def _refused(where: str, setting: str, error: BaseException) -> UserError:
    """From a boto3 ClientError, or whatever an upload failed with."""
    response: dict[str, Any] = getattr(error, "response", {})
    code = response.get("Error", {}).get("Code", "")
    status = response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if status >= 500 or status == 429:
        return ToolUnavailable(f"{where} is in trouble ({status} {code}).", "Run again; nothing was lost.")
    return UserError(
        f"{where} refused a request ({code or status or type(error).__name__}).",
        f"Check {setting} and the credentials' rights.",
    )
