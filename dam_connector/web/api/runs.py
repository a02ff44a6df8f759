"""Endpoints of the API for runs, webhook deliveries and the rules in force."""

import json
from typing import Any

from flask import abort

from dam_connector.store.users import UserRole
from dam_connector.usecases import retries, rules_change, rules_check
from dam_connector.web.api.blueprint import bp, idempotent, page_body
from dam_connector.web.request_context import requires, services, signed_in_user
from schemas import api as s


@bp.get("/runs")
@requires(UserRole.VIEWER)
@bp.arguments(s.RunArgs, location="query")
@bp.response(200, s.page_of(s.RunOut))
def runs(args: dict[str, Any]) -> dict[str, Any]:
    """List runs, newest first."""
    return page_body(
        services().runs.page(
            state=args["state"],
            sku=args["sku"],
            deliverable=args["deliverable"],
            before=args["cursor"],
            limit=args["limit"],
        ),
        args["limit"],
    )


@bp.get("/runs/causes")
@requires(UserRole.VIEWER)
@bp.response(200, s.CausesOut(many=True))
def failure_causes() -> list[dict[str, Any]]:
    """List the causes of the newest failed runs, the most frequent first."""
    return [{"cause": group.cause, "runs": group.number} for group in retries.failure_causes(services())]


@bp.post("/runs/retry")
@requires(UserRole.MERCHANDISER)
@idempotent
@bp.arguments(s.CauseIn)
@bp.response(202, s.CountOut)
def retry_cause(data: dict[str, Any]) -> dict[str, Any]:
    """Retry the newest failed runs with one cause."""
    return {"count": retries.retry_cause(services(), data["cause"])}


@bp.post("/runs/dismiss")
@requires(UserRole.MERCHANDISER)
@idempotent
@bp.arguments(s.CauseIn)
@bp.response(200, s.CountOut)
def dismiss_cause(data: dict[str, Any]) -> dict[str, Any]:
    """Dismiss the newest failed runs with one cause: they count as failed no longer."""
    return {"count": retries.dismiss_cause(services(), data["cause"], by=signed_in_user().name)}


@bp.get("/runs/<run_id>")
@requires(UserRole.VIEWER)
@bp.response(200, s.RunOut)
def run(run_id: str) -> Any:
    """Return one run."""
    return services().runs.get(run_id) or abort(404, "there is no such run")


@bp.post("/runs/<run_id>/retry")
@requires(UserRole.MERCHANDISER)
@idempotent
@bp.response(202, s.RunOut)
def retry(run_id: str) -> Any:
    """Retry a failed or cancelled run by the rules in force; return the run that is queued.

    It goes on from its last checkpoint. Where the rules have changed since so that they ask for another
    input, it is another run, from the first step on. 409: its input cannot be used, so that it would fail
    again until the photos, the facts or the rules change; the message has the reason and the remedy.
    """
    found = services().runs.get(run_id) or abort(404, "there is no such run")
    queued = retries.retry_run(services(), found)
    return queued or abort(
        409, f"the run is {found.state.value}; only failed and cancelled runs can be retried"
    )


@bp.post("/runs/<run_id>/dismiss")
@requires(UserRole.MERCHANDISER)
@idempotent
@bp.response(200, s.RunOut)
def dismiss(run_id: str) -> Any:
    """Dismiss a failed run: it is cancelled, and counts as failed no longer."""
    found = services().runs.get(run_id) or abort(404, "there is no such run")
    if not retries.dismiss_run(services(), found, by=signed_in_user().name):
        abort(409, f"the run is {found.state.value}; only failed runs can be dismissed")
    return services().runs.get(run_id)


@bp.get("/deliveries")
@requires(UserRole.VIEWER)
@bp.arguments(s.DeliveryArgs, location="query")
@bp.response(200, s.page_of(s.DeliveryOut))
def deliveries(args: dict[str, Any]) -> dict[str, Any]:
    """List webhook deliveries, newest first."""
    found = services().inbox.page(
        state=args["state"], connection=args["connection"], before=args["cursor"], limit=args["limit"]
    )
    return page_body(found, args["limit"])


@bp.get("/deliveries/<delivery_id>")
@requires(UserRole.VIEWER)
@bp.response(200, s.DeliveryBodyOut)
def delivery(delivery_id: str) -> Any:
    """Return one delivery with its headers and body."""
    return services().inbox.get(delivery_id) or abort(404, "there is no such delivery")


@bp.post("/deliveries/<delivery_id>/replay")
@requires(UserRole.MERCHANDISER)
@idempotent
@bp.response(202, s.DeliveryOut)
def replay(delivery_id: str) -> Any:
    """Handle a delivery again."""
    retries.replay_delivery(services(), delivery_id)
    return services().inbox.get(delivery_id)


@bp.post("/deliveries/<delivery_id>/dismiss")
@requires(UserRole.MERCHANDISER)
@idempotent
@bp.response(200, s.DeliveryOut)
def dismiss_delivery(delivery_id: str) -> Any:
    """Ignore a failed delivery: it counts as failed no longer."""
    found = services().inbox.get(delivery_id) or abort(404, "there is no such delivery")
    if not retries.dismiss_delivery(services(), found, by=signed_in_user().name):
        abort(409, f"the delivery is {found.state}; only failed ones can be dismissed")
    return services().inbox.get(delivery_id)


@bp.get("/rules")
@requires(UserRole.VIEWER)
@bp.response(200, s.RulesOut)
def rules() -> dict[str, Any]:
    """Return the rules in force, and the errors of plugin.json when a change to it was refused."""
    current = services().rules.current()
    refused = services().rules.problem
    text = services().rules_archive.get(current.fingerprint) or "{}"
    return {
        "fingerprint": current.fingerprint,
        "text": json.loads(text),
        "problem": list(refused.problems) if refused else [],
    }


@bp.get("/rules/plan")
@requires(UserRole.ADMIN)
@bp.response(200, s.RulesEffectOut)
def plan_rules() -> Any:
    """Return what applying plugin.json would do to the newest products. Nothing changes.

    One plan is made at a time. `dam-connector rules plan` looks at all products.
    """
    return rules_change.plan_change(services(), most_products=rules_change.MOST_PLANNED).as_json()


@bp.post("/rules/apply")
@requires(UserRole.ADMIN)
@bp.arguments(s.ApplyRules)
@idempotent
@bp.response(202, s.RulesAppliedOut)
def apply_rules(data: dict[str, Any]) -> Any:
    """Apply plugin.json in the background, if it is still the one whose effect was shown."""
    applied = rules_change.apply_rules(services(), by=signed_in_user().name, fingerprint=data["fingerprint"])
    return {"fingerprint": applied.fingerprint}


@bp.post("/rules/check")
@requires(UserRole.ADMIN)
@bp.arguments(s.AnyJson)
@bp.response(200, s.RulesCheckOut)
def check_rules(data: dict[str, Any]) -> Any:
    """Check a plugin.json, sent as it is, its connections too. Nothing changes.

    It says which files and environment variables of the server exist, so it is for admins.
    """
    return rules_check.check_rules_text(services(), json.dumps(data), services().users.all())
