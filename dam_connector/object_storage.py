"""Object storage (obstore): stores with bounded waits, and the causes of errors in one line each."""

import re
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from obstore.store import from_url

from dam_connector.settings import storage_client_options

# A storage that hangs holds up a request for half a minute, not for the three minutes of obstore's defaults.
# `read_timeout` begins anew with each part that comes, so that a large file may take its time.
CLIENT_OPTIONS: dict[str, Any] = {
    "connect_timeout": timedelta(seconds=3),
    "read_timeout": timedelta(seconds=30),
    "timeout": timedelta(minutes=10),
}
RETRY_OPTIONS: dict[str, Any] = {"max_retries": 3, "retry_timeout": timedelta(seconds=20)}
MISSING_BUCKET = re.compile("NoSuchBucket|ContainerNotFound|bucket does not exist")
# The client's own words, the first match counts; its text ends with a dump of its structures.
_CAUSES = (
    (MISSING_BUCKET, "the bucket does not exist"),
    (re.compile("BadScheme"), "its address begins with http://; set AWS_ALLOW_HTTP=true to allow that"),
    (
        re.compile("169\\.254\\.169\\.254"),
        "there are no credentials; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or those of the provider",
    ),
    (re.compile("dns error"), "its host name is not known; check AWS_ENDPOINT"),
    (re.compile("kind: Connect|tcp connect error"), "nothing answers at its address; check AWS_ENDPOINT"),
    (re.compile("TimedOut|kind: Timeout|timed out"), "it did not answer in time"),
    (re.compile("MissingAccount|Account must be specified"), "set AZURE_STORAGE_ACCOUNT_NAME"),
    (re.compile("Unable to recognise URL"), "it is not one of s3://, gs://, az://, file:// or a folder"),
)
_CODE = re.compile("<Code>([A-Za-z0-9]{1,60})</Code>")
_STATUS = re.compile("status code: ([0-9]{3}[A-Za-z ]{0,40})")
_URL = re.compile(r"\b[a-z0-9+]+://\S+")
MAX_CAUSE = 160


def open_store(url: str) -> Any:
    """Return the store of obstore at a URL.

    Raises:
        ValueError: It cannot be opened; the message is the cause in one line.
    """
    options = {**CLIENT_OPTIONS, **storage_client_options(urlsplit(url).scheme)}
    try:
        return from_url(url, client_options=options, retry_config=RETRY_OPTIONS)
    except Exception as error:
        raise ValueError(object_error_cause(error)) from error


def object_error_cause(error: Exception) -> str:
    """Return the cause of an error of obstore, in one line."""
    text = str(error)
    for pattern, cause in _CAUSES:
        if pattern.search(text):
            return cause
    if code := _CODE.search(text):
        return f"it answers {code.group(1)}; check the credentials and their rights"
    if status := _STATUS.search(text):
        return f"it answers {status.group(1).strip()}"
    line = _URL.sub("...", text.partition("\n")[0]).strip()
    return f"{type(error).__name__}: {line}"[:MAX_CAUSE]
