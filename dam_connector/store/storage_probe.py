"""The state of the storage, asked in a thread of its own: who wants to know it does not wait for long."""

import threading

from dam_connector.errors import Unavailable
from dam_connector.ports import Blobs

ANSWER_WAIT_S = 1.0


class StorageProbe:
    """Asks the storage one question at a time."""

    def __init__(self, blobs: Blobs) -> None:
        self._blobs = blobs
        self._lock = threading.Lock()
        self._asking: threading.Thread | None = None
        self._state = "ok"

    def state(self) -> str:
        """Return `ok`, or why the storage cannot be read; wait a second at most."""
        with self._lock:
            if self._asking is None or not self._asking.is_alive():
                self._asking = threading.Thread(target=self._ask, name="storage-probe", daemon=True)
                self._asking.start()
            asking = self._asking
        asking.join(ANSWER_WAIT_S)
        return "it has not answered yet" if asking.is_alive() else self._state

    def _ask(self) -> None:
        try:
            self._blobs.mark()
            self._state = "ok"
        except Unavailable as error:
            self._state = str(error)
