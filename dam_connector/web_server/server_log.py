"""The log of gunicorn: as its own text, or through ours as JSON."""

import logging
from typing import Any

from gunicorn.glogging import Logger

from dam_connector.logs import configure_logging
from dam_connector.settings import Settings


class ServerLog(Logger):
    """gunicorn's log. With DAM_CONNECTOR_LOG_FORMAT=json each line is an object, in the first process too."""

    def setup(self, cfg: Any) -> None:
        """Set the log up; gunicorn calls this in its first process."""
        super().setup(cfg)
        if Settings.from_env().log_format != "json":
            return
        configure_logging("json")
        for log in (self.error_log, self.access_log):
            log.handlers.clear()
            log.propagate = True
        self.error_log.setLevel(logging.INFO)
