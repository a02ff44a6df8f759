"""Saleor's own settings, with its media in a folder of the test, and webhooks to loopback."""

import os

from saleor.settings import *  # noqa: F403

MEDIA_ROOT = os.environ["SALEOR_MEDIA"]
