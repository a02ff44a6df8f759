"""A request while it arrives, before a thread works on it."""

import re

MAX_HEADER_BYTES = 32_768
MAX_BODY_BYTES = 1_048_576  # of a body that is awaited here; a thread reads longer ones
_END_OF_HEADERS = b"\r\n\r\n"
_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*([0-9]{1,18})[ \t]*\r\n", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding:", re.IGNORECASE)
_EXPECT = re.compile(rb"\r\nexpect:[ \t]*100-continue[ \t]*(?=\r\n)", re.IGNORECASE)


_CHUNK_SIZE = re.compile(rb"[ \t]*([0-9a-fA-F]{1,12})[ \t]*(?:;[^\r\n]*)?")
_MAX_SIZE_LINE = 4096  # bytes of the line that begins a chunk, with its extensions


class ReceivedRequest:
    """The bytes of one request that have arrived, and those after it."""

    def __init__(self, data: bytes = b"") -> None:
        self._data = bytearray(data)
        self._body_at = 0  # where the body begins; 0: the headers are incomplete
        self._length: int | None = 0  # of the body; None: it is chunked
        self._next_chunk_at = 0  # where the next chunk of a chunked body begins
        self._has_last_chunk = False  # only trailers follow there
        self.is_broken = False  # the chunks of the body cannot be read
        self.expects_continue = False  # the client waits for a word before it sends the body
        self._look_for_headers(0)

    def __len__(self) -> int:
        return len(self._data)

    @property
    def data(self) -> bytes:
        """Return all bytes that have arrived."""
        return bytes(self._data)

    def add(self, data: bytes) -> None:
        """Add bytes that arrived."""
        searched = max(0, len(self._data) - len(_END_OF_HEADERS))
        self._data += data
        if not self._body_at:
            self._look_for_headers(searched)

    @property
    def has_too_large_headers(self) -> bool:
        """Return whether the headers are longer than allowed."""
        return (self._body_at or len(self._data)) > MAX_HEADER_BYTES

    @property
    def is_large(self) -> bool:
        """Return whether the body is too long to be awaited here."""
        if not self._body_at:
            return False
        return (self._length or 0) > MAX_BODY_BYTES or len(self._data) - self._body_at > MAX_BODY_BYTES

    @property
    def is_complete(self) -> bool:
        """Return whether headers and body have arrived."""
        if not self._body_at:
            return False
        if self._length is None:
            return self._has_all_chunks()
        return len(self._data) - self._body_at >= self._length

    def _has_all_chunks(self) -> bool:
        """Return whether a chunked body is here with its trailers; find out whether it is broken.

        Chunks that were seen before are not looked at again.
        """
        while not self._has_last_chunk and not self.is_broken:
            end = self._data.find(b"\r\n", self._next_chunk_at, self._next_chunk_at + _MAX_SIZE_LINE)
            if end < 0:
                self.is_broken = len(self._data) - self._next_chunk_at >= _MAX_SIZE_LINE
                return False
            size = _CHUNK_SIZE.fullmatch(self._data, self._next_chunk_at, end)
            if size is None:
                self.is_broken = True
                return False
            length = int(size[1], 16)
            self._has_last_chunk = not length
            self._next_chunk_at = end + 2 + (length + 2 if length else 0)
        at = self._next_chunk_at
        is_over = self._data.startswith(b"\r\n", at) or self._data.find(_END_OF_HEADERS, at) >= 0
        self.is_broken = not is_over and len(self._data) - at > MAX_HEADER_BYTES
        return is_over

    def _look_for_headers(self, start: int) -> None:
        end = self._data.find(_END_OF_HEADERS, start)
        if end < 0:
            return
        head = bytes(self._data[: end + 2])
        length = _LENGTH.search(head)
        self._length = None if _CHUNKED.search(head) else int(length[1]) if length else 0
        self._body_at = end + len(_END_OF_HEADERS)
        if _EXPECT.search(head) and not self.is_large:
            # The loop answers it, and gunicorn must not answer it again.
            self.expects_continue = not self.is_complete
            shorter = _EXPECT.sub(b"", head)
            self._data[: end + 2] = shorter
            self._body_at -= len(head) - len(shorter)
        self._next_chunk_at = self._body_at
