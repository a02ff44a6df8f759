"""The options of each shipped adapter in plugin.json: types, ranges and choices.

plugin.json's JSON Schema completes connections with them, and `option_problems` checks a connection without
its secrets. An adapter of a third party is checked by its own `connect` alone.
"""

import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from marshmallow import Schema, ValidationError, fields, validate

from dam_connector.domain.metadata_templates import parse_template
from dam_connector.domain.product import View
from dam_connector.domain.rules import MAX_CAP_USD
from schemas.common import LOCALE, StrictBoolean, StrictFloat, json_pointer, problem_lines
from schemas.image_views import VIEWS
from schemas.numbers_and_units import METRES_PER_UNIT
from schemas.photo_sources import PhotoSourcesSchema
from schemas.problem_context import in_plain_words
from schemas.record_mapping import MappingSchema, SignatureSchema
from schemas.sheet_headers import COLUMNS

MEDIA_FORMATS = ("jpeg", "png", "webp", "glb", "usdz", "web", "mp4")
Options = dict[str, fields.Field]


class TemplateField(fields.String):
    """A template of metadata, e.g. `{attributes.season}`."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **more: Any) -> Any:
        text = super()._deserialize(value, attr, data, **more)
        try:
            parse_template(text)
        except ValueError as error:
            raise ValidationError(str(error)) from error
        return text


def _text(meaning: str, **more: Any) -> fields.String:
    return fields.String(metadata={"description": meaning}, **more)


def _secret(meaning: str) -> fields.String:
    shape = validate.Regexp(r"^env/[A-Za-z_][A-Za-z0-9_]*$", error="name an environment variable: env/NAME")
    return _text(f"{meaning}, as env/NAME.", validate=shape)


def _secrets(meaning: str, **more: Any) -> fields.List:
    return fields.List(_secret("One of them"), metadata={"description": meaning}, **more)


def _url(meaning: str, **more: Any) -> fields.String:
    shape = validate.Regexp(r"^https?://[^\s/]", error="must be a URL, e.g. https://shop.example")
    return _text(meaning, validate=shape, **more)


def _choice(meaning: str, *choices: str) -> fields.String:
    return _text(meaning, validate=validate.OneOf(choices))


def _flag(meaning: str) -> StrictBoolean:
    return StrictBoolean(metadata={"description": meaning})


def _number(meaning: str, low: float, high: float) -> StrictFloat:
    return StrictFloat(validate=validate.Range(low, high), metadata={"description": meaning})


def _integer(meaning: str, low: int, high: int) -> fields.Integer:
    return fields.Integer(strict=True, validate=validate.Range(low, high), metadata={"description": meaning})


def _texts(meaning: str, each: validate.Validator | None = None, **more: Any) -> fields.List:
    inner = fields.String(validate=each) if each else fields.String()
    return fields.List(inner, metadata={"description": meaning}, **more)


def _table(meaning: str, *keys: str, **more: Any) -> fields.Dict:
    key = fields.String(validate=validate.OneOf(keys)) if keys else fields.String()
    return fields.Dict(keys=key, metadata={"description": meaning}, **more)


def _mapping(*, image_order: bool = True, locales: bool = False) -> Options:
    order = {"image_order": _texts("The views of images that name none.", validate.OneOf(VIEWS))}
    further = {"locales": _texts("Further locales whose texts are taken in.", LOCALE)}
    return {
        "attributes": _table("The vendor's attribute for our fields."),
        "unit": _choice("Unit of lengths that are plain numbers.", *METRES_PER_UNIT),
        **(order if image_order else {}),
        **(further if locales else {}),
    }


def _media() -> Options:
    return {
        "formats": _texts("File formats to publish, the preferred first.", validate.OneOf(MEDIA_FORMATS)),
        "place": _choice("Before or after the shop's own media.", "after", "before"),
    }


_LANGUAGES: Options = {"languages": _texts("Further locales in which it gets texts, e.g. de.", LOCALE)}
_SHOP: Options = {**_media(), **_LANGUAGES}


def _provider(most_tasks: int, **options: fields.Field) -> Options:
    caps = {
        f"max_usd_per_{period}": _number(f"The most that may be spent in a {period}, in USD.", 0, MAX_CAP_USD)
        for period in ("day", "month", "batch")
    }
    return {**options, "concurrency": _integer("Tasks at the provider at once.", 1, most_tasks), **caps}


def _views() -> fields.List:
    return _texts("The views of photos that are sent.", validate.OneOf([view.value for view in View]))


def _token(meaning: str = "Access token") -> Options:
    return {"token": _secret(meaning)}


_BASE = {"base_url": _url("Address of the server.", required=True)}
_SHOPIFY: Options = {**_BASE, **_token(), "api_version": _text("e.g. 2026-10.")}
_OTHER_BASE = {"base_url": _url("Address of the API; the vendor's own when absent.")}
_USER = {"user": _text("Login name."), "password": _secret("Its password")}
_WOO_KEYS = {
    "consumer_key": _secret("Key of the REST API"),
    "consumer_secret": _secret("Secret of the key"),
}
_HOOKS = {"secrets": _secrets("Secrets of its webhooks.", required=True, validate=validate.Length(min=1))}
_MINUTES = {"longest_minutes": _number("Minutes until a task counts as failed.", 1, 600)}
_KEY = {"api_key": _secret("API key")}
_METADATA = {
    "metadata": fields.Dict(
        keys=fields.String(),
        values=TemplateField(),
        metadata={"description": "Templates for fields of the DAM, by their names."},
    )
}
_SOURCES: Options = {
    "sources": fields.Nested(
        PhotoSourcesSchema, metadata={"description": "Which photos there are source images of products."}
    )
}
_STATES = {"states": _table("The vendor's value for each of our states.")}

OPTIONS: Mapping[str, Mapping[str, Options]] = {
    "pim": {
        "standard": {
            "secrets": _secrets("Secrets that events are signed with."),
            "tokens": _secrets("Bearer tokens of senders that cannot sign."),
            "token_header": _text("The header with the token, if it is not a bearer token."),
            "signature": fields.Nested(
                SignatureSchema, metadata={"description": "How a sender signs that follows no standard."}
            ),
            "product_url": _text("Where the newest record is fetched, with {sku}."),
            "list_url": _text("Where all products are listed, with {since}, {page} or {offset}."),
            "headers": _table("Headers of our requests; env/NAME in them is a secret."),
            "mapping": fields.Nested(
                MappingSchema, metadata={"description": "Where the parts of a product are in its messages."}
            ),
        },
        "csv": {
            "path": _text("The folder with the sheets.", required=True),
            "columns": _table("The sheet's column for ours.", *COLUMNS, values=fields.String()),
        },
        "akeneo": {
            **_BASE,
            "client_id": _text("Client id of the connection."),
            "client_secret": _secret("Client secret"),
            **_USER,
            "author": _text("By which events name our own user, where it is neither user nor client id."),
            "secrets": _secrets("Secrets of its webhooks."),
            "identifier": _text("The attribute that holds the SKU."),
            "time_zone": _text("Time zone of the server, e.g. Europe/Paris."),
            "locale": _text("The locale to prefer."),
            "scope": _text("The channel to prefer."),
            **_mapping(image_order=False, locales=True),
            "assets": _table("Family and media attribute of each asset collection."),
            "write_back": _table("Attributes that are written.", "ar_url", "status", values=fields.String()),
        },
        "saleor": {
            "api_url": _url("Address of the GraphQL API.", required=True),
            **_token(),
            "secrets": _secrets("Secrets of its webhooks."),
            "app_id": _text("Id of the app."),
            **_mapping(locales=True),
        },
        "shopify": {**_SHOPIFY, **_HOOKS, **_mapping(locales=True)},
        "vendure": {**_BASE, **_USER, **_HOOKS, **_mapping()},
        "woocommerce": {**_BASE, **_WOO_KEYS, **_HOOKS, **_mapping()},
        "memory": {"secret": _secret("Secret of its webhooks")},
    },
    "dam": {
        "library": {},
        "memory": {**_SOURCES},
        "aem": {
            **_BASE,
            **_token(),
            "folder": _text("Folder below /content/dam."),
            "user": _text("The connector's own user, whose changes are not events."),
            "client_id": _text("Client id of the events."),
            "keys_url": _url("Where the keys of the events' signatures are."),
            **_METADATA,
            **_SOURCES,
        },
        "bynder": {
            **_BASE,
            **_token(),
            "brand": _text("Id of the brand.", required=True),
            "properties": _table(
                "Names of metaproperties.",
                "id",
                "version",
                "written",
                "state",
                "reason",
                values=fields.String(),
            ),
            **_STATES,
            **_METADATA,
            **_SOURCES,
        },
        "cloudinary": {
            **_OTHER_BASE,
            "cloud_name": _text("Name of the product environment.", required=True),
            **_KEY,
            "api_secret": _secret("API secret"),
            "signature_algorithm": _choice("Of the account.", "sha1", "sha256"),
            **_METADATA,
            **_SOURCES,
        },
        "directus": {
            **_BASE,
            **_token(),
            "collection": _text("Collection of the versions."),
            "folder": _text("Folder of the files."),
            "webhook_secret": _secret("Secret of its webhooks"),
            **_METADATA,
            **_SOURCES,
        },
        "resourcespace": {
            **_BASE,
            "user": _text("User that the API key belongs to.", required=True),
            "private_key": _secret("API key of the user"),
            "resource_type": fields.Raw(metadata={"description": "Number of the resource type."}),
            "fields": _table("Numbers of the metadata fields; external_id at least.", required=True),
            **_STATES,
            **_METADATA,
            **_SOURCES,
        },
    },
    "provider": {
        "comfyui": _provider(
            100,
            **_OTHER_BASE,
            workflow=_text("File of a workflow beside plugin.json.", required=True),
            makes=_choice("Its result.", "picture", "model"),
            views=_views(),
            **_MINUTES,
        ),
        "fal": _provider(
            1000,
            **_KEY,
            **_OTHER_BASE,
            keys_url=_url("Where the keys of the webhooks' signatures are."),
            model=_text("The model's path, e.g. fal-ai/trellis.", required=True),
            makes=_choice("Its result.", "picture", "model"),
            views=_views(),
            input=_table("Template of the input."),
            output=_text("Path of the file addresses in the answer."),
            usd_per_task=_number("Price of a task.", 0, 100),
            webhook=_flag("Whether it calls when a task is done."),
        ),
        "hunyuan3d": _provider(
            100,
            **_OTHER_BASE,
            texture=_flag("Whether models get a texture."),
            num_inference_steps=_integer("Steps of inference.", 1, 100),
            octree_resolution=_integer("Resolution of the shape.", 16, 1024),
            **_MINUTES,
        ),
        "memory": {"polls": _integer("How often a task is asked for until it is done.", 0, 1000)},
        "meshy": _provider(
            1000,
            **_KEY,
            **_OTHER_BASE,
            model=_text("Name of the model."),
            usd_per_credit=_number("Price of a credit.", 0, 10),
        ),
        "openai_images": _provider(
            100,
            **_KEY,
            **_OTHER_BASE,
            model=_text("Name of the model."),
            mode=_choice("The endpoint.", "edits", "generations"),
            quality=_choice("Quality of pictures.", "auto", "low", "medium", "high"),
            sizes=_texts(
                "Sizes that the model makes.", validate.Regexp(r"^(auto|[1-9]\d{0,4}x[1-9]\d{0,4})$")
            ),
            n=_integer("Pictures for each task.", 1, 4),
            usd_per_picture=_number("Price of a picture.", 0, 100),
            retries_5xx=_integer("Repeats after an error of the server.", 0, 2),
        ),
        "stability": _provider(
            100,
            **_KEY,
            **_OTHER_BASE,
            model=_text("Name of the model."),
            usd_per_task=_number("Price of a task.", 0, 100),
            texture_resolution=_choice("Side of the texture, in pixels.", "512", "1024", "2048"),
        ),
        "tripo": _provider(
            1000,
            **_KEY,
            **_OTHER_BASE,
            model=_text("Name of the model."),
            texture_quality=_choice("Quality of textures.", "standard", "detailed", "extreme"),
            webhook_secret=_secret("Secret of its webhooks"),
        ),
    },
    "channel": {
        "viewer": {},
        "memory": _LANGUAGES,
        "folder": {"path": _text("The folder to export into.", required=True)},
        "storage": {
            "url": _text(
                "Bucket and prefix, e.g. s3://shop-media/products.",
                required=True,
                validate=validate.Regexp(
                    r"^[a-z0-9]+://", error="must be a URL, e.g. s3://shop-media/products"
                ),
            ),
            "public_url": _text("Public address of the same place."),
            "cache_s": _integer("Seconds for which others may keep a file.", 0, 31_536_000),
        },
        "google_merchant": {"lifestyle": _texts("Deliverables for lifestyle_image_link.")},
        "webhook": {
            "url": _url("Address of the receiver.", required=True),
            "secret": _secret("Its secret"),
            **_LANGUAGES,
        },
        "saleor": {"api_url": _url("Address of the GraphQL API.", required=True), **_token(), **_SHOP},
        "shopify": {**_SHOPIFY, **_SHOP},
        "vendure": {**_BASE, **_USER, **_media()},
        "woocommerce": {**_BASE, **_WOO_KEYS, **_USER, **_media()},
    },
}


# Options of every channel, which the connector itself reads.
CHANNEL_OPTIONS: Options = {
    "locale": _text("Locale of names and alt texts there, e.g. de or de-AT.", validate=LOCALE),
    "order": _texts("Deliverables in the order of their pictures there; the others follow."),
}


def definition_name(port: str, adapter: str) -> str:
    """Return the name of an adapter's options in the JSON Schema, e.g. `ProviderTripo`."""
    return port.title() + re.sub(r"(?:^|_)([a-z])", lambda found: found[1].upper(), adapter)


@cache
def options_schema(port: str, adapter: str) -> type[Schema]:
    """Return the schema of an adapter's options, together with the adapter's name."""
    name: Options = {"adapter": fields.String(required=True, validate=validate.OneOf([adapter]))}
    name |= CHANNEL_OPTIONS if port == "channel" else {}
    options = {option.replace("fields", "fields_"): field for option, field in OPTIONS[port][adapter].items()}
    if "fields_" in options:  # a schema has an attribute of this name
        options["fields_"] = _table("Numbers of the metadata fields.", data_key="fields", required=True)
    return Schema.from_dict({**name, **options}, name=f"{definition_name(port, adapter)}Schema")


def key_choices(options: Options) -> Iterator[tuple[str, list[str]]]:
    """Yield the options that are objects with a choice of keys, and the keys."""
    for name, field in options.items():
        if isinstance(field, fields.Dict) and field.key_field is not None:
            for rule in field.key_field.validators:
                if isinstance(rule, validate.OneOf):
                    yield name, list(rule.choices)


def option_problems(port: str, name: str, adapter: str, options: Mapping[str, Any]) -> Iterator[str]:
    """Yield the problems of a connection's options, each with its JSON pointer.

    Args:
        port: "pim", "dam", "channel" or "provider".
        name: the connection's name.
        adapter: the adapter's name; one that is not shipped has no problems here.
        options: the options, without the adapter's name.
    """
    if adapter not in OPTIONS.get(port, {}):
        return
    schema = options_schema(port, adapter)()
    errors = schema.validate({"adapter": adapter, **options})
    place = json_pointer(("connections", port, name))
    for line in problem_lines(errors, schema):
        yield place + in_plain_words(line)
