"""Setup of a ResourceSpace for the connector: a text field for each fact that it writes.

`dam-connector connect dam resourcespace` lists the missing ones before it creates any. The token must be the
private key of an admin, whose name is the option `admin` (`admin` when absent). The API can create neither
states nor rights of groups; `BY_HAND` names them.
"""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from dam_connector.adapters.common.context import AdapterContext
from dam_connector.adapters.common.preparation import Preparation
from dam_connector.adapters.resourcespace.client import NEEDED_RIGHTS, ResourceSpaceClient
from dam_connector.errors import Refused

TEXT_BOX, LONG_TEXT = 0, 1  # ResourceSpace's types of fields
ALL_TYPES = "0"  # of resources
# Our name of a fact -> the title of its field. `external_id` is needed, the others help people.
FIELDS = {
    "external_id": "External ID",
    "sku": "SKU",
    "name": "Product name",
    "category": "Product category",
    "deliverable": "Deliverable",
    "slot": "Slot",
    "version": "Version number",
    "generator": "Generator",
    "made_with": "Made with",
    "prompt": "Prompt",
    "report": "Report",
    "review_url": "Review URL",
    "folder": "Product folder",
    "decision": "Decision",
}
LONG = ("prompt", "report")
BY_HAND = (
    "Field *External ID*: set *Index this field* in its settings (Admin, System, Metadata fields).",
    "A user for the connector with *API access*, in a group with the permissions "
    f"`{NEEDED_RIGHTS}`; its private key into RESOURCESPACE_KEY.",
    "A state for rejected versions, in include/config.php: `$additional_archive_states = [4];` and "
    '`$lang["status4"] = "Rejected";`; the permission e4 for the group of the reviewers, too.',
)


class _SetupClient(ResourceSpaceClient):
    def fields(self) -> dict[str, int]:
        """Return the numbers of all metadata fields by their titles, in small letters."""
        try:
            rows = self._call_for_rows("get_resource_type_fields", "setup")
        except Refused as error:
            reason = f"the key is not an admin's: it may see no metadata fields ({error})"
            raise Refused(self.vendor, "setup", reason) from error
        return {
            str(row.get("title") or row.get("name")).casefold(): int(row["ref"])
            for row in rows
            if row.get("ref")
        }

    def create_field(self, title: str, kind: int) -> None:
        """Create a metadata field for all types of resources."""
        params: dict[str, Any] = {"name": title, "resource_types": ALL_TYPES, "type": kind}
        reply = self._call("create_resource_type_field", "setup", **params)
        if not isinstance(reply, dict) or reply.get("status") != "success":
            raise Refused(self.vendor, "setup", f"the field {title!r} was not created")


def _client(options: Mapping[str, Any], context: AdapterContext) -> _SetupClient:
    key = context.secret(str(options.get("token", "env/RESOURCESPACE_ADMIN_KEY")))
    return _SetupClient(context.http, str(options["base_url"]), str(options.get("admin", "admin")), key)


def prepare(options: Mapping[str, Any], context: AdapterContext, webhook_url: str) -> Iterator[Preparation]:
    """Yield the fields that the connector writes, and whether they exist.

    Args:
        options: the options of the connection in plugin.json; its token must be an admin's private key.
        webhook_url: not used: ResourceSpace sends no webhooks.

    Raises:
        AdapterError: ResourceSpace cannot be reached, or the key is not an admin's.
    """
    client = _client(options, context)
    known, numbers = client.fields(), options.get("fields") or {}
    for name, title in FIELDS.items():
        kind = LONG_TEXT if name in LONG else TEXT_BOX
        yield Preparation(
            description=f"field `{title}` for `{name}`",
            exists=title.casefold() in known or name in numbers,
            create=partial(client.create_field, title, kind),
        )


def entry(options: Mapping[str, Any], context: AdapterContext) -> dict[str, Any]:
    """Return the connection as plugin.json has it, with the numbers of the fields."""
    known = _client(options, context).fields()
    numbers = {name: known[title.casefold()] for name, title in FIELDS.items() if title.casefold() in known}
    found = {**numbers, **(options.get("fields") or {})}
    return {
        "adapter": "resourcespace",
        "base_url": options["base_url"],
        "user": "connector",
        "fields": found,
    }
