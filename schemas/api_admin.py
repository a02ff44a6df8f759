"""What the API takes and answers about connections, spending, users and the audit log."""

from marshmallow import Schema, fields, validate

from schemas.api import PageArgs

ROLES = ("viewer", "merchandiser", "reviewer", "admin")  # of `UserRole`
PORTS = ("pim", "dam", "channel", "provider")
DRIFT_KINDS = ("missing", "stale", "orphaned", "changed", "failed")  # of `DriftKind`
NAME = validate.Length(1, 80)


class AuditEntryOut(Schema):
    """One thing that somebody did."""

    id = fields.String()
    at = fields.AwareDateTime()
    by = fields.String(metadata={"description": "The user's name; empty for the connector itself."})
    address = fields.String()
    action = fields.String()
    subject = fields.String()
    detail = fields.String()


class AuditArgs(PageArgs):
    """Which page of the audit log."""


class ExportArgs(Schema):
    """The format of an export of the audit log."""

    format = fields.String(load_default="jsonl", validate=validate.OneOf(["jsonl", "csv"]))


class ConnectionOut(Schema):
    """A connection of plugin.json."""

    port = fields.String(validate=validate.OneOf(PORTS))
    name = fields.String()
    adapter = fields.String()
    webhook_url = fields.String(
        metadata={"description": "Where its system sends webhooks; empty where it sends none."}
    )
    last_delivery = fields.Nested(
        "LastDeliveryOut", allow_none=True, metadata={"description": "Among the newest 200 of all."}
    )
    last_test = fields.Nested(
        "LastTestOut", allow_none=True, metadata={"description": "Null: it was never tested."}
    )


class LastTestOut(Schema):
    """The last test of a connection."""

    at = fields.AwareDateTime()
    by = fields.String()
    good = fields.Boolean()
    done = fields.List(fields.String(), metadata={"description": "The steps that worked."})
    error = fields.String(metadata={"description": "Why the next one did not; empty when all worked."})
    remedy = fields.String(metadata={"description": "What to do about the error."})
    is_outdated = fields.Boolean(
        metadata={"description": "Whether plugin.json changed the connection since then."}
    )


class LastDeliveryOut(Schema):
    """The newest webhook of a connection."""

    id = fields.String()
    state = fields.String()
    error = fields.String()
    received_at = fields.AwareDateTime(attribute="inbound.received_at")


class ConnectionTestIn(Schema):
    """How to test a connection."""

    sku = fields.String(
        load_default="",
        validate=validate.Length(max=500),
        metadata={"description": "A product to test a channel with. Its live assets are written again."},
    )


class ConnectionTestOut(Schema):
    """The result of a round trip over a connection."""

    connection = fields.String()
    good = fields.Boolean()
    done = fields.List(fields.String(), metadata={"description": "The steps that worked."})
    error = fields.String(metadata={"description": "Why the next one did not; empty when all worked."})


class DriftOut(Schema):
    """A difference between a connection and our records."""

    kind = fields.String(validate=validate.OneOf(DRIFT_KINDS))
    port = fields.String(validate=validate.OneOf([*PORTS, "connector"]))
    where = fields.String()
    sku = fields.String()
    ref = fields.String()
    detail = fields.String()
    remedy = fields.String()


class DriftIn(Schema):
    """A difference that the last comparison found."""

    where = fields.String(required=True, validate=validate.Length(max=80))
    ref = fields.String(required=True, validate=validate.Length(max=500))
    kind = fields.String(required=True, validate=validate.OneOf(DRIFT_KINDS))


class ReconciliationOut(Schema):
    """The last comparison of PIMs, DAMs and channels with our records."""

    at = fields.AwareDateTime(allow_none=True, metadata={"description": "When it ended; null: never yet."})
    is_requested = fields.Boolean(metadata={"description": "The next one begins within seconds."})
    count = fields.Integer()
    differences = fields.List(fields.Nested(DriftOut), metadata={"description": "The first 500."})


class RepairOut(Schema):
    """What a repair did."""

    outcome = fields.String()


class BudgetOut(Schema):
    """Spending in a period, and its cap."""

    period = fields.String(validate=validate.OneOf(["day", "month"]))
    spent_usd = fields.Float(attribute="spent")
    cap_usd = fields.Float(attribute="cap", allow_none=True)


class ProviderOut(Schema):
    """A provider with its load and budgets."""

    name = fields.String()
    adapter = fields.String()
    model = fields.String()
    makes = fields.List(fields.String())
    slots = fields.Integer()
    in_flight = fields.Integer()
    budgets = fields.List(fields.Nested(BudgetOut))
    paused = fields.String(metadata={"description": "Why nothing is sent to it now; else empty."})


class SpendRowOut(Schema):
    """The cost of a group of tasks this month."""

    name = fields.String()
    tasks = fields.Integer()
    usd = fields.Float()


class SpendTaskOut(Schema):
    """A task of a provider that needs a look."""

    id = fields.String()
    provider = fields.String()
    sku = fields.String()
    deliverable = fields.String()
    estimate_usd = fields.Float()
    error = fields.String()
    created_at = fields.AwareDateTime()


class SpendOut(Schema):
    """The cost of providers this month."""

    by_provider = fields.List(fields.Nested(SpendRowOut))
    by_batch = fields.List(fields.Nested(SpendRowOut), metadata={"description": "By the ids of batches."})
    by_category = fields.List(fields.Nested(SpendRowOut))
    by_deliverable = fields.List(fields.Nested(SpendRowOut))
    by_state = fields.List(fields.Nested(SpendRowOut))
    providers = fields.List(fields.Nested(ProviderOut))
    unknown = fields.List(
        fields.Nested(SpendTaskOut), metadata={"description": "Tasks whose answer was lost."}
    )
    waiting = fields.List(fields.Nested(SpendTaskOut), metadata={"description": "Tasks that wait."})


class UserOut(Schema):
    """A person who may log in."""

    name = fields.String()
    role = fields.String(validate=validate.OneOf(ROLES), allow_none=True)
    active = fields.Boolean()


class UserIn(Schema):
    """A user to be added, or changed when there is one of this name."""

    name = fields.String(
        required=True, validate=validate.And(NAME, validate.Regexp(r"[^/\s]([^/]*[^/\s])?$"))
    )
    role = fields.String(required=True, validate=validate.OneOf(ROLES))
    password = fields.String(
        validate=validate.Length(1, 1024),
        metadata={
            "description": "Absent: a new user logs in by link, and a user who exists keeps the password.",
            "format": "password",
        },
    )


class LinkOut(Schema):
    """A link that logs a user in, once, within a day."""

    url = fields.String()


class TokenIn(Schema):
    """A token to be added."""

    label = fields.String(load_default="api", validate=NAME)
    days = fields.Integer(strict=True, load_default=None, allow_none=True, validate=validate.Range(1, 3650))


class TokenOut(Schema):
    """An API token, without its secret."""

    id = fields.String()
    user = fields.String(attribute="user_name")
    label = fields.String()
    created_at = fields.AwareDateTime()
    expires_at = fields.AwareDateTime(allow_none=True)
    last_used_at = fields.AwareDateTime(
        allow_none=True, metadata={"description": "To ten minutes; null: never."}
    )


class NewTokenOut(Schema):
    """A new API token, which is shown only now."""

    token = fields.String()


class AccountOut(Schema):
    """The user's own account."""

    name = fields.String()
    role = fields.String(validate=validate.OneOf(ROLES))
    sessions = fields.Integer()
    tokens = fields.List(fields.Nested(TokenOut))


class ArCountArgs(Schema):
    """Whose models."""

    sku = fields.String(load_default="", validate=validate.Length(max=500))


class ArCountOut(Schema):
    """What shoppers did with one version of a model."""

    sku = fields.String()
    version_id = fields.String()
    deliverable = fields.String()
    number = fields.Integer()
    views = fields.Integer(metadata={"description": "How often it was shown in 3D."})
    ar_starts = fields.Integer(metadata={"description": "How often the AR button was pressed."})


class ArCountsOut(Schema):
    """What shoppers did with models; at most 1,000 versions."""

    counted = fields.Boolean(metadata={"description": "Whether plugin.json says now that it is counted."})
    items = fields.List(fields.Nested(ArCountOut))


class AdoptionProgressOut(Schema):
    """How far an adoption came; without keys if none was ever begun."""

    by = fields.String()
    adopted = fields.Integer(metadata={"description": "Files that became first versions."})
    done = fields.Boolean()
    problem = fields.String(
        metadata={"description": "Why it does not go on, or ended; empty if all is well."}
    )


class AdoptionOut(Schema):
    """The adoption that was begun last."""

    progress = fields.Nested(AdoptionProgressOut)


class AdoptionChecksOut(Schema):
    """The checks that were requested."""

    requested = fields.Integer(metadata={"description": "Finished files that workers check now."})
    next = fields.String(metadata={"description": "The cursor of the products that follow; empty: none."})


class AdoptableOut(Schema):
    """A finished file of a product."""

    sku = fields.String()
    deliverable = fields.String()
    where = fields.String(metadata={"description": "The DAM, or `record` for a picture in the record."})
    name = fields.String()
    ref = fields.String(metadata={"description": "The DAM's reference of the file."})
    by = fields.String(metadata={"description": "Who approved it; empty if the DAM does not tell."})
    problem = fields.String(metadata={"description": "Why it would not be adopted; empty if it would."})
    check = fields.String(
        metadata={"description": "`good`, `blocked` or `waiting` for its check; empty: not checked."}
    )
    blocks = fields.List(
        fields.String(), metadata={"description": "What the checks found that would block its version."}
    )


class AdoptionPlanArgs(Schema):
    """From which products on."""

    cursor = fields.String(
        load_default="",
        validate=validate.Length(max=80),
        metadata={"description": "`next` of the answer before; the newest products if absent."},
    )


class AdoptionPlanOut(Schema):
    """What would be adopted of the products that were read."""

    products = fields.Integer(metadata={"description": "Products that were read for this answer."})
    next = fields.String(metadata={"description": "The cursor of the products that follow; empty: none."})
    files = fields.Integer(metadata={"description": "Finished files of these products."})
    adoptable = fields.Integer(metadata={"description": "Those of them that would become V1."})
    blocked = fields.Integer(metadata={"description": "Those whose version the checks would block."})
    waiting = fields.Integer(metadata={"description": "Those that wait for their check."})
    rows = fields.List(fields.Nested(AdoptableOut), metadata={"description": "The first of them."})
    problem = fields.String(metadata={"description": "Why they could not be listed; empty if they were."})
