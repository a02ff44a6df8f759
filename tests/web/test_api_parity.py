"""Each action of a page or a command has its operation in the API, or a reason why it has none."""

from typing import Any

import click
from flask import Flask

from dam_connector.cli import main

OF_BROWSERS = "how browsers get in; machines have tokens"
OF_GUESTS = "how people without an account review; machines have tokens"
SHOWS = "shows what other operations return"
PUBLIC = "public output for shops, viewers and caches, without a login"
OF_THE_MACHINE = "starts, stops, checks or copies the installation itself: on its machine only"
# Pages by endpoint, with the operations of the API that do the same.
PAGES = {
    "audit.export": "export_audit",
    "audit.index": "audit",
    "auth.account": "account",
    "auth.add_token": OF_BROWSERS,
    "auth.follow_link": OF_BROWSERS,
    "auth.log_in": OF_BROWSERS,
    "auth.log_out_everywhere": "log_out_everywhere",
    "auth.login_page": OF_BROWSERS,
    "auth.logout": OF_BROWSERS,
    "auth.revoke_token": "revoke_own_token",
    "auth.use_link": OF_BROWSERS,
    "sign_on.begin": OF_BROWSERS,
    "sign_on.finish": OF_BROWSERS,
    "adoption.begin": "begin_adoption",
    "adoption.check": "check_adoption",
    "adoption.index": "adoption plan_adoption",
    "admin.connections": "list_connections reconciliation_result",
    "admin.deliveries": "deliveries",
    "admin.delivery": "delivery",
    "admin.repair": "repair_difference",
    "admin.replay": "replay",
    "admin.dismiss": "dismiss",
    "admin.dismiss_delivery": "dismiss_delivery",
    "admin.dismiss_cause": "dismiss_cause",
    "admin.dismiss_deliveries": "deliveries dismiss_delivery",
    "admin.replay_deliveries": "deliveries replay",
    "admin.retry": "retry",
    "admin.retry_cause": "failure_causes retry_cause",
    "admin.rules": "rules plan_rules",
    "admin.apply_rules": "apply_rules",
    "admin.runs": "runs",
    "admin.spend": "spend list_providers",
    "admin.test_connection": "test_connection",
    "batches.batch": "batch list_batch_rows",
    "batches.begin": "begin_batch",
    "batches.check": "upload check_sheet",
    "batches.checked": "check_sheet",
    "batches.control": "pause_batch resume_batch cancel_batch retry_batch",
    "batches.events": "batch",
    "batches.failed": "export_batch",
    "batches.index": "list_batches",
    "batches.manifest": "export_batch",
    "batches.new": SHOWS,
    "batches.now": "batch",
    "batches.package": "export_batch",
    "batches.sheet": "template",
    "batches.status": "export_batch",
    "captures.add_photo": "add_capture_photo",
    "captures.begin": "begin_capture",
    "captures.cancel": "cancel_capture",
    "captures.capture": "capture",
    "captures.finish": "finish_capture",
    "captures.photo": SHOWS,
    "captures.remove_photo": "remove_capture_photo",
    "comments.add": "comment",
    "comments.mentions": SHOWS,
    "comments.settle": "resolve_comment reopen_comment",
    "versions.dismiss_welcome": OF_BROWSERS,
    "guests.create": "add_guest_link",
    "guests.index": "guest_links",
    "guests.revoke": "revoke_guest_link",
    "guests.follow": OF_GUESTS,
    "guests.enter": OF_GUESTS,
    "guests.queue": OF_GUESTS,
    "guests.version": OF_GUESTS,
    "guests.photo": OF_GUESTS,
    "guests.decide": OF_GUESTS,
    "guests.comment": OF_GUESTS,
    "guests.leave": OF_GUESTS,
    "files.file": "version",  # names the addresses of its files, which take a token
    "files.source": "product",  # names the addresses of its photos, which take a token
    "files.version_photo": "version",  # provenance names the hash of each photo
    "files.original": "version",  # provenance names the hash of the original
    "gallery.compare": SHOWS,
    "gallery.download": "download_many",
    "gallery.index": "versions",
    "gallery.start_comparison": SHOWS,
    "products.edit": "edit_product",
    "products.index": "products",
    "products.product": "product assets runs",
    "products.regenerate_all": "regenerate_product",
    "products.upload_model": "upload_model",
    "products.upload_photo": "upload_photo",
    "products.run_product": "run_product",
    "version_actions.comment_all": "comment_many",
    "version_actions.decide": "decide",
    "version_actions.decide_all": "decide_many",
    "version_actions.regenerate": "regenerate",
    "version_actions.regenerate_all": "regenerate_many",
    "version_actions.rollback": "rollback",
    "version_actions.undo": "undo",
    "version_actions.undo_all": "undo_many",
    "version_actions.upscale": "upscale",
    "version_actions.upscale_all": "upscale_many",
    "version_actions.waive": "waive",
    "version_actions.withdraw": "withdraw",
    "metrics.show": "for monitoring, with a token of its own",
    "touch_ups.touch_up": "touch_up",
    "versions.home": SHOWS,
    "versions.queue": "versions",
    "versions.report": "report",
    "versions.version": "version",
    "api_page.api_docs": SHOWS,
    "help_pages.index": SHOWS,
    "needs.index": SHOWS,
    "needs.compare_connections": "start_reconciliation",
    "help_pages.document": SHOWS,
    "api-docs.openapi_json": SHOWS,
}
COMMANDS = {
    "audit": "export_audit",
    "backfill": "reads a whole catalog for hours; it is watched and stopped where it runs",
    "backup": OF_THE_MACHINE,
    "batch do": "pause_batch resume_batch cancel_batch retry_batch",
    "batch failed": "export_batch",
    "batch list": "list_batches",
    "check-config": "check_rules",
    "connect": "asks before it creates objects in another system, with an admin's secret of that system",
    "connection test": "test_connection",
    "connection try": SHOWS,
    "demo": OF_THE_MACHINE,
    "docs": OF_THE_MACHINE,
    "doctor": OF_THE_MACHINE,
    "export": "export_batch",
    "check-files": OF_THE_MACHINE,
    "claim-storage": OF_THE_MACHINE,
    "gc": OF_THE_MACHINE,
    "import": "upload check_sheet begin_batch",
    "init": OF_THE_MACHINE,
    "migrate": OF_THE_MACHINE,
    "name preview": SHOWS,
    "product add": "upload add_product",
    "provider balance": "test_connection",
    "provider list": "list_providers",
    "provider test": "test_connection",
    "reconcile": "start_reconciliation reconciliation_result repair_difference",
    "replay": "replay",
    "restore": OF_THE_MACHINE,
    "rules apply": "apply_rules",
    "rules plan": "plan_rules",
    "run": "run_product",
    "spend": "spend",
    "template": "template",
    "token add": "add_token",
    "token list": "list_tokens",
    "token revoke": "revoke_token",
    "up": OF_THE_MACHINE,
    "user add": "put_user add_login_link",
    "user deactivate": "deactivate_user",
    "user link": "add_login_link",
    "user list": "list_users",
    "user logout": "log_out_user",
    "user remove": "remove_user",
    "web": OF_THE_MACHINE,
    "webhook send": "plays a PIM: the receiver of webhooks is its API",
}
OUTPUT = ("viewer.", "feeds.", "health.", "static", "layout.", "static_files.")  # PUBLIC


def commands(group: click.Group, path: str = "") -> set[str]:
    """The names of all commands of a group."""
    found: set[str] = set()
    for name, command in group.commands.items():
        is_group = isinstance(command, click.Group)
        found |= commands(command, f"{path}{name} ") if is_group else {path + name}
    return found


def operation_names(app: Flask) -> set[str]:
    document: dict[str, Any] = app.test_client().get("/api/openapi.json").json
    return {o["operationId"] for p in document["paths"].values() for m, o in p.items() if m != "parameters"}


def test_each_action_of_a_page_has_its_operation_or_a_reason(app: Flask) -> None:
    endpoints = {rule.endpoint for rule in app.url_map.iter_rules()}
    of_people = {e for e in endpoints if not e.startswith((*OUTPUT, "api."))}
    assert of_people == set(PAGES)


def test_each_command_has_its_operation_or_a_reason() -> None:
    assert commands(main) == set(COMMANDS)


def test_the_operations_exist(app: Flask) -> None:
    known = operation_names(app)
    reasons = {OF_BROWSERS, OF_GUESTS, SHOWS, OF_THE_MACHINE}
    for action, entry in {**PAGES, **COMMANDS}.items():
        named = entry.split()
        assert set(named) <= known or entry in reasons or len(named) > 5, (action, set(named) - known)
