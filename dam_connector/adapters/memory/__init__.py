"""In-memory adapters for tests, one module per port, and their shared mixin."""

from dam_connector.errors import ConnectorError


class FailsOnce:
    """Mixin of an adapter that raises `fail_with` once, at its next call."""

    def __init__(self) -> None:
        self.fail_with: ConnectorError | None = None

    def _raise_failure(self) -> None:
        failure, self.fail_with = self.fail_with, None
        if failure:
            raise failure
