"""Commands that wait for workers: they say when none answers, and do not wait for ever."""

import click

from dam_connector.errors import ConfigError
from dam_connector.store.batch_records import Batch, BatchProgress
from dam_connector.wiring import Services

WARN_AFTER = 5  # looks, a second apart, at which no worker answered and nothing changed
STOP_AFTER = 60
REMEDY = (
    "Start the service: dam-connector up, with the same --data-dir. The batch goes on by itself then; "
    "dam-connector batch list shows it"
)


class WorkerWatch:
    """Looks whether somebody works on a batch."""

    def __init__(self, services: Services, batch: Batch) -> None:
        self._services, self._batch = services, batch
        self._last: BatchProgress | None = None
        self._idle = 0

    def look(self, progress: BatchProgress) -> None:
        """Look once; warn after some looks without a worker.

        Raises:
            ConfigError: no worker answered for a long time.
        """
        is_worked_on = progress != self._last or self._services.queue.workers("advance_batch") > 0
        self._last, self._idle = progress, 0 if is_worked_on else self._idle + 1
        if self._idle == WARN_AFTER:
            click.echo(f"No worker answers: nothing of {self._batch.name} is made now. {REMEDY}.", err=True)
        if self._idle >= STOP_AFTER:
            raise ConfigError(f"{self._batch.name}: no worker answered for a minute. {REMEDY}")
