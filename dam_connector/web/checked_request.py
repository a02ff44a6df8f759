"""Requests that can be worked with: PostgreSQL takes no NUL, and file systems no long name."""

from flask import Request, abort, request

MAX_PART = 255  # bytes of a part of a path, as in file systems; a file with a longer name is an OSError
MAX_PATH = 2048  # bytes of a path; file systems take 4096, with the folders above
_REFUSAL = "the request holds a NUL character; send clean text"


class CheckedRequest(Request):
    """A request that refuses form fields and file names with a NUL when they are read."""

    def _load_form_data(self) -> None:
        is_loaded = "form" in self.__dict__
        super()._load_form_data()
        if is_loaded:
            return
        texts = [text for pair in self.form.items(multi=True) for text in pair]
        texts += [file.filename or "" for file in self.files.values()]
        if any("\0" in text for text in texts):
            abort(400, _REFUSAL)


def check_address() -> None:
    """Refuse a path or query with a NUL, and a path that is too long for a file system, or a part of it."""
    path = request.path.encode("utf-8", "replace")
    if len(path) > MAX_PATH or any(len(part) > MAX_PART for part in path.split(b"/")):
        abort(404)
    if "\0" in request.path or any("\0" in text for pair in request.args.items(multi=True) for text in pair):
        abort(400, _REFUSAL)
