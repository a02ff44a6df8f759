"""The flow's main promises once more, on PostgreSQL."""

from collections.abc import Callable

import pytest

from tests.pipeline.test_flow import (  # noqa: F401 - collected here with this module's database
    test_50_equal_webhooks_at_once_make_one_run_a_deliverable_and_one_version,
    test_a_blocked_version_is_never_pushed_until_its_error_is_waived,
    test_a_late_older_delivery_changes_nothing,
    test_new_facts_make_the_next_version_and_supersede_the_one_in_review,
    test_reject_regenerate_and_approve_the_next,
    test_the_sweeper_backs_off_and_does_not_flood,
)


@pytest.fixture
def database_url(migrated_postgres: Callable[[], str]) -> str:
    return migrated_postgres()
