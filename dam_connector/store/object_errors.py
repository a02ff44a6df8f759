"""The causes of failed requests to object storage, each in one line and without secrets."""

import re

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
