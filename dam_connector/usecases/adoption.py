"""Adoption: finished pictures and models that exist already are taken over as V1, with their decision.

They are found by the section `adopt` of plugin.json: in a DAM, or in the records of products. They are stored
in the transaction that takes in their product, before its runs are planned, so that nothing is made in their
place. A run for each of them makes the previews and files that a version of ours has, and checks it. An
adopted version is approved, and live nowhere until a person asks for it; one that the checks would not let
into review is blocked, and waits for a person.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from dam_connector.domain.adoption import ADOPTED, MODEL_VIEW, Adoptable, AdoptRule
from dam_connector.domain.brought_model import BROUGHT_MODEL
from dam_connector.domain.ids import Sha256
from dam_connector.domain.planning import planned_runs
from dam_connector.domain.product import SIGNATURE_BYTES, Product, picture_mime
from dam_connector.domain.rules import Deliverable, Rules
from dam_connector.domain.run import RunKind
from dam_connector.errors import ConfigError, NotFound, Refused
from dam_connector.ports import FinishedFile, ListsFinished, ShowsPictures
from dam_connector.store import finished_files
from dam_connector.store.run_records import NewRun
from dam_connector.usecases.run_planning import current_models
from dam_connector.wiring import Services

FORMATS = {"image/jpeg": "jpeg", "image/png": "png", "image/webp": "webp"}  # of pictures that are adopted
GLB_MIME, GLB_SIGNATURE = "model/gltf-binary", b"glTF"
MAX_PAGES = 10_000  # of one DAM's list
SLOT = 1
GOOD, BLOCKED = "good", "blocked"  # `Adoptable.check`, beside `finished_files.WAITING`


FoundFiles = Mapping[str, Mapping[str, Adoptable]]  # by SKU, then by deliverable


def find_finished(services: Services) -> FoundFiles:
    """List the finished files in all DAMs that `adopt` names; return them by SKU and deliverable.

    Of several files of one asset, the last one that the DAM lists counts.

    Raises:
        ConfigError: plugin.json has no section `adopt`, or a DAM cannot list its files.
        Refused: do not retry.
        Unavailable, RateLimited: retry later.
    """
    rules = services.rules.current()
    if not rules.adopt:
        raise ConfigError("/adopt: say where finished files are; docs/photos.md shows how")
    found: dict[str, dict[str, Adoptable]] = {}
    for dam in dict.fromkeys(rule.dam for rule in rules.adopt.values() if rule.dam):
        of_dam = {name: rule for name, rule in rules.adopt.items() if rule.dam == dam}
        for finished in _all_files(services, dam, of_dam):
            for deliverable, rule in of_dam.items():
                if sku := rule.place_of(finished.file.facts).sku:
                    found.setdefault(sku, {})[deliverable] = Adoptable(
                        sku=sku,
                        deliverable=deliverable,
                        where=dam,
                        name=finished.file.facts.name,
                        ref=finished.file.ref,
                        by=finished.approved_by,
                    )
                    break
    return found


def _all_files(services: Services, dam: str, rules: Mapping[str, AdoptRule]) -> Iterator[FinishedFile]:
    adapter = services.dam(dam)
    if not isinstance(adapter, ListsFinished):
        raise ConfigError(f"/adopt: the adapter of {dam} cannot list finished files; docs/photos.md")
    fields = tuple(dict.fromkeys(field for rule in rules.values() for field in rule.fields))
    cursor = ""
    for _ in range(MAX_PAGES):
        files, cursor = adapter.finished_files(cursor, fields)
        yield from files
        if not cursor:
            return


def adoptable(services: Services, product: Product, found: FoundFiles) -> Iterator[Adoptable]:
    """Yield what would be adopted for a product, models first; with the problem if it would not be.

    Raises:
        ConfigError: a channel cannot list a shop's pictures.
        Refused: do not retry.
        Unavailable, RateLimited: retry later.
    """
    rules = services.rules.current()
    for deliverable in _models_first(rules):
        rule = rules.adopt.get(deliverable.name)
        problem = _taken(services, product.sku, deliverable) if rule else ""
        if rule is None or (problem and rule.channel):  # the shop is not asked in vain
            continue
        file = _file_of(services, product, deliverable, rule, found)
        if file is None:
            continue
        if not deliverable.is_for_category(product.category):
            problem = f"{deliverable.name} is not for the category {product.category or 'of this product'}"
        yield replace(file, problem=problem)


def with_checks(services: Services, files: list[Adoptable]) -> list[Adoptable]:
    """Return finished files with the findings of their checks, where they were checked."""
    known = services.finished_files.of_skus({file.sku for file in files})

    def add(file: Adoptable) -> Adoptable:
        found = known.get((file.sku, file.deliverable))
        if found is None or found.source.identity != file.identity or file.problem:
            return file
        if found.state == finished_files.WAITING:
            return replace(file, check=finished_files.WAITING)
        # A finding of the GLB is one of the web GLB and of each level of detail too.
        blocks = tuple(dict.fromkeys(f"{each.code}: {each.message}" for each in found.issues))
        return replace(file, check=BLOCKED if blocks else GOOD, blocks=blocks)

    return [add(file) for file in files]


def _models_first(rules: Rules) -> list[Deliverable]:
    return sorted(rules.deliverables, key=lambda each: each.kind is not RunKind.MODEL)


def _file_of(
    services: Services, product: Product, deliverable: Deliverable, rule: AdoptRule, found: FoundFiles
) -> Adoptable | None:
    if rule.dam:
        return found.get(product.sku, {}).get(deliverable.name)
    if rule.channel:
        return _picture_in_shop(services, product, deliverable, rule)
    images = {image.view.value: image.url for image in product.images}
    address = product.model_url if rule.view == MODEL_VIEW else images.get(rule.view, "")
    if not address:
        return None
    return Adoptable(sku=product.sku, deliverable=deliverable.name, where="record", name=f"its {rule.view}")


def _picture_in_shop(
    services: Services, product: Product, deliverable: Deliverable, rule: AdoptRule
) -> Adoptable | None:
    try:
        pictures = _shop(services, rule.channel).own_pictures(product.sku)
    except NotFound:
        return None
    if len(pictures) < rule.position:
        return None
    picture = pictures[rule.position - 1]
    return Adoptable(
        sku=product.sku,
        deliverable=deliverable.name,
        where=rule.channel,
        name=picture.name,
        ref=picture.url,
        by=f"somebody in {rule.channel}",
    )


def _shop(services: Services, channel: str) -> ShowsPictures:
    adapter = services.channel(channel)
    if not isinstance(adapter, ShowsPictures):
        raise ConfigError(f"/adopt: the adapter of {channel} cannot list a shop's pictures; docs/photos.md")
    return adapter


def _taken(services: Services, sku: str, deliverable: Deliverable) -> str:
    """Return why the asset of a product takes no first version any more; empty if it does."""
    newest = services.runs.newest_input(sku, deliverable.name, SLOT)
    has_version = any(
        v.asset.deliverable == deliverable.name and v.asset.slot == SLOT
        for v in services.assets.of_product(sku)
    )
    if has_version:
        return f"{deliverable.name} has a version already"
    return f"{deliverable.name} is being made already" if newest else ""


@dataclass(frozen=True, slots=True)
class ReadyFile:
    """A file to be adopted, whose bytes are stored."""

    found: Adoptable
    sha256: Sha256
    mime: str


def read_files(
    services: Services, product: Product, sources: Mapping[str, Sha256], found: FoundFiles
) -> dict[str, ReadyFile | str]:
    """Store the bytes of the files to be adopted for a product.

    Returns:
        By deliverable the file, or why it cannot be adopted.

    Raises:
        Unavailable, RateLimited: retry later.
    """
    ready: dict[str, ReadyFile | str] = {}
    for file in adoptable(services, product, found):
        if file.problem:
            continue
        try:
            ready[file.deliverable] = read_file(services, file, sources)
        except (NotFound, Refused) as error:
            ready[file.deliverable] = f"{file.name}: {error}"
    return ready


def read_file(services: Services, file: Adoptable, sources: Mapping[str, Sha256]) -> ReadyFile | str:
    """Store the bytes of a finished file; return it, or why it cannot be adopted.

    Args:
        sources: the product's stored images by view.

    Raises:
        NotFound, Refused: the DAM does not give the file.
        Unavailable, RateLimited: retry later.
    """
    rules = services.rules.current()
    deliverable, rule = rules.deliverable(file.deliverable), rules.adopt[file.deliverable]
    if rule.dam:
        adapter = services.dam(rule.dam)
        data = adapter.photo_bytes(file.ref) if isinstance(adapter, ListsFinished) else b""
    elif rule.channel:
        data = _shop(services, rule.channel).picture_bytes(file.ref)
    else:
        sha256 = sources.get(BROUGHT_MODEL if rule.view == MODEL_VIEW else rule.view)
        if sha256 is None:
            return f"{file.name}: it could not be fetched"
        data = services.blobs.get(sha256)
    mime = picture_mime(data[:SIGNATURE_BYTES])
    is_model = deliverable is not None and deliverable.kind is RunKind.MODEL
    if is_model and data.startswith(GLB_SIGNATURE):
        return ReadyFile(file, services.blobs.put(data), GLB_MIME)
    if not is_model and mime in FORMATS:
        return ReadyFile(file, services.blobs.put(data), mime)
    wanted = "GLB" if is_model else "JPEG, PNG or WebP"
    return f"{file.name}: it is no {wanted}"


def adopt_files(
    services: Services, product: Product, sources: Mapping[str, Sha256], ready: Mapping[str, ReadyFile | str]
) -> list[str]:
    """Add the first versions of a product's assets from finished files, in the open transaction.

    A run for each of them is planned, which checks it, adds its previews and approves it.

    Args:
        sources: the product's stored images by view: the same ones make nothing anew later.
        ready: from `read_files`.

    Returns:
        The deliverables whose first version is adopted.
    """
    rules = services.rules.current()
    models = {
        **current_models(services, product, rules),
        **{
            name: file.sha256
            for name, file in ready.items()
            if isinstance(file, ReadyFile) and file.mime == GLB_MIME
        },
    }
    hashes = {
        run.deliverable.name: run.input_hash
        for run in planned_runs(product, sources, models, rules, services.rules.former_namings())
        if run.slot == SLOT
    }
    done = []
    for deliverable in _models_first(rules):
        file = ready.get(deliverable.name)
        if isinstance(file, ReadyFile) and not _taken(services, product.sku, deliverable):
            input_hash = hashes.get(deliverable.name) or f"{file.sha256}~adopted:{product.sku}"[:160]
            if _adopt(services, product, deliverable, file, input_hash):
                done.append(deliverable.name)
    return done


def _adopt(
    services: Services, product: Product, deliverable: Deliverable, file: ReadyFile, input_hash: str
) -> bool:
    rules, is_model = services.rules.current(), deliverable.kind is RunKind.MODEL
    place: dict[str, Any] = {"sku": product.sku, "deliverable": deliverable.name, "slot": SLOT}
    run = NewRun(
        **place,
        kind=RunKind.ADOPT_MODEL if is_model else RunKind.ADOPT_PICTURE,
        input_hash=input_hash,
        rules_fingerprint=rules.fingerprint,
        bulk=True,
    )
    run_id = services.runs.add_first(run)
    if run_id is None:
        return False
    version_id, _ = services.assets.assign_version(
        **place, kind=deliverable.kind.value, run_id=run_id, rules_fingerprint=rules.fingerprint
    )
    state = finished_files.ADOPTED
    services.finished_files.put(file.found, state=state, sha256=file.sha256, mime=file.mime)
    services.history.add(
        ADOPTED,
        sku=product.sku,
        version_id=version_id,
        by=file.found.approver,
        detail=f"{file.found.where}: {file.found.name}",
    )
    services.queue.wake("advance_bulk_run", [run_id])
    return True
