"""The catalog of issue codes, as data: severity by default, what it means, what to do about it.

docs/issues.md is generated from this table (`dam-connector docs issues`); a test holds that every code has a fixture.
"""

from dataclasses import dataclass

from dam_connector.domain.model_profiles import MEASURES


@dataclass(frozen=True, slots=True)
class Code:
    """What one issue code means and how to mend it."""

    severity: str
    meaning: str
    remedy: str


CODES: dict[str, Code] = {
    # the product's record
    "product.sku_unsafe": Code(
        "error",
        "The SKU cannot stand in a URL or a file name.",
        "Use letters, digits, dot, dash, underscore and plus; begin with a letter or digit; at most 64 characters.",
    ),
    "product.field_missing": Code(
        "error",
        "A field that the rules require for this category is missing.",
        "Fill the field in the PIM, or take it off `products.required` in plugin.json.",
    ),
    "product.dimensions_implausible": Code(
        "error",
        "A dimension is not a size a product can have.",
        "Check the unit: dimensions are taken in the unit that the record names, metres by default.",
    ),
    # sheets of products
    "sheet.unreadable": Code(
        "error",
        "The file is no CSV or workbook that can be read.",
        "Save it as CSV (UTF-8) or XLSX and upload it again.",
    ),
    "sheet.empty": Code("error", "The file holds no row.", "Fill in the template: dam-connector template."),
    "sheet.header": Code(
        "error",
        "The first row does not name the columns.",
        "Begin with the template's header, or name which column is which.",
    ),
    "row.value": Code(
        "error",
        "A cell does not hold what its column wants.",
        "Correct the cell; the template's example shows the form.",
    ),
    "row.duplicate": Code(
        "error", "The SKU stands in an earlier row of the same file.", "Keep one of the rows."
    ),
    "row.picture": Code(
        "error",
        "A picture that the row names is not beside the sheet.",
        "Put the file into the folder or ZIP, or use its address.",
    ),
    # source images
    "source.url_refused": Code(
        "error",
        "The picture's address is not one we may fetch from.",
        "Use a public http(s) address, or add the host to DAM_CONNECTOR_ALLOW_HOSTS.",
    ),
    "source.not_found": Code(
        "error",
        "There is no picture at this address.",
        "Correct the address in the PIM; it must be readable without a login.",
    ),
    "source.unreachable": Code(
        "error",
        "The picture's server did not answer in time, several times.",
        "Check that the server is up, then replay the delivery.",
    ),
    "source.too_large": Code(
        "error",
        "The picture has more bytes or pixels than the limits allow.",
        "Supply a smaller file; 4000 px on the longer side is plenty.",
    ),
    "source.not_an_image": Code(
        "error", "The file is not a picture we can read.", "Supply JPEG, PNG, WebP, TIFF or AVIF."
    ),
    "source.damaged": Code(
        "error", "The picture is cut short or damaged.", "Upload the picture again at its source."
    ),
    "source.too_small": Code(
        "error",
        "The picture has too few pixels for what is to be made.",
        "Supply at least 200 px on the shorter side; 1500 px is better.",
    ),
    "source.inspiration": Code(
        "warning",
        "The inspiration image cannot be used; lifestyle pictures take their rooms' own colours.",
        "Correct `inspiration_image`: a public address of a JPEG, PNG, WebP, TIFF or AVIF picture.",
    ),
    "source.missing_view": Code(
        "error",
        "The deliverable needs a view that the product has no usable picture of.",
        "Add the view in the PIM.",
    ),
    "source.missing_model": Code(
        "error",
        "The deliverable is rendered from a model that the product has no usable version of.",
        "See the model's report, and regenerate it.",
    ),
    "source.blurred": Code(
        "warning",
        "The product's edges are soft.",
        "Supply a photo in focus, without motion blur, not enlarged.",
    ),
    "source.overexposed": Code(
        "warning", "Large parts of the product are pure white.", "Supply a photo with less light."
    ),
    "source.underexposed": Code("warning", "The photo is nearly black.", "Supply a photo with more light."),
    "source.several_objects": Code(
        "warning",
        "The photo shows several separate objects of similar size.",
        "Supply a photo of the product alone, unless it is a set.",
    ),
    "source.background_busy": Code(
        "warning",
        "The background is not plain.",
        "Supply a photo on a plain background, or a transparent PNG.",
    ),
    "source.same_picture": Code(
        "info",
        "Two views were given the same picture.",
        "Give each view its own photo, unless the product is round.",
    ),
    "source.wrong_view": Code(
        "warning",
        "The outline fits another side of the product better than the one it is named after.",
        "Check which view this is, and the dimensions.",
    ),
    "source.profile_missing": Code(
        "info",
        "The picture names no colour profile where its colours need one.",
        "Embed a profile when exporting.",
    ),
    "source.cmyk": Code(
        "info",
        "The picture is made for print, in CMYK.",
        "Supply sRGB: colours are converted, and bright ones may shift.",
    ),
    "source.animated": Code("warning", "The picture has several frames.", "Supply a still picture."),
    "source.rotated": Code(
        "info", "The picture was turned upright by its EXIF orientation.", "Nothing needs to be done."
    ),
    # the cut-out
    "cutout.empty": Code(
        "error",
        "No product was found in the picture.",
        "Supply a photo of the product on a plain background.",
    ),
    "cutout.uncertain": Code(
        "warning",
        "The product could not be told from the background with confidence.",
        "Look at the edges; supply a photo on a plain, contrasting background, or a transparent PNG.",
    ),
    "cutout.cropped": Code(
        "warning",
        "The product touches the edge of the photo.",
        "Supply a photo with some space around the product.",
    ),
    # renditions
    "rendition.enlarged": Code(
        "warning",
        "The product was enlarged beyond its own pixels.",
        "Supply a larger photo, or ask for a smaller rendition.",
    ),
    "rendition.upscaled": Code(
        "info",
        "The picture was made larger; fine detail is guessed.",
        "Supply a larger photo where detail counts.",
    ),
    "rendition.bytes": Code(
        "error",
        "The file is larger than the rules allow.",
        "Lower `size_px` or raise `checks.max_image_bytes`.",
    ),
    "rendition.likeness": Code(
        "warning",
        "The product's colours differ from the photo's by more than an eye lets pass.",
        "Allow more bytes, or make a smaller picture.",
    ),
    "rendition.size": Code(
        "error",
        "The rendition does not have the size that the deliverable asks for.",
        "Regenerate; if it stays, report it.",
    ),
    # what channels ask of pictures
    "profile.format": Code(
        "warning",
        "A channel takes none of the formats made.",
        "Add one of the formats it takes to `formats`.",
    ),
    "profile.too_small": Code(
        "warning", "The picture has fewer pixels than a channel wants.", "Raise `size_px`."
    ),
    "profile.below_advice": Code(
        "info",
        "The picture has fewer pixels than a channel advises.",
        "Raise `size_px`, where the photo has the pixels.",
    ),
    "profile.too_large": Code(
        "warning", "The picture has more pixels than a channel takes.", "Lower `size_px`."
    ),
    "profile.bytes": Code(
        "warning", "The file is larger than a channel takes, at the lowest quality too.", "Lower `size_px`."
    ),
    "profile.background": Code(
        "warning",
        "The background is not the colour that a channel wants.",
        "Set `background`; a shadow must not reach the rim.",
    ),
    "profile.fill": Code(
        "warning", "The product fills more or less of the picture than a channel wants.", "Change `fill`."
    ),
    "profile.aspect": Code(
        "warning", "The picture has other proportions than a channel wants.", "Change `aspect`."
    ),
    "label.lost": Code(
        "error",
        "A provenance label could not be read back from the made file.",
        "Regenerate; if it stays, report it.",
    ),
    # the model's shape
    "model.dimensions_missing": Code(
        "warning",
        "The product's size is not known on every axis; the model's was guessed.",
        "Add width, height and depth in the PIM.",
    ),
    "model.single_view": Code(
        "info",
        "The model was made from one photo: its far side is invented.",
        "Add right, back and top views.",
    ),
    "model.views_disagree": Code(
        "warning",
        "The photos' outlines contradict each other or the dimensions.",
        "Check that each photo shows the view it is named after and the dimensions belong to this product.",
    ),
    "model.view_recognised": Code(
        "warning",
        "A photo shows another side of the product than the record calls it, by its proportions.",
        "Name the photo's view in the record, or correct the product's dimensions.",
    ),
    "model.view_left_out": Code(
        "warning",
        "A photo whose cut-out is unsure was left out of the model.",
        "Supply this view on a plain, contrasting background.",
    ),
    "model.part_lost": Code(
        "warning",
        "The shape does not reach the product's size by itself: a thin part was lost and the rest stretched.",
        "Compare the model with the photos; supply larger photos of the thin parts, or let a provider make this model.",
    ),
    "model.low_confidence": Code(
        "warning",
        "The shape is a guess; the message says why.",
        "Add front, right, back and top views, or let a provider make this model.",
    ),
    "rendition.product_unsure": Code(
        "error",
        "The product of the photo was not found in the picture that a provider made.",
        "Compare the two; approve it by a waiver, or regenerate.",
    ),
    "rendition.product_cut": Code(
        "error",
        "A provider's picture cuts the product off.",
        "Regenerate, or ask for more room around it in the prompt.",
    ),
    "rendition.product_changed": Code(
        "error",
        "The product in a provider's picture differs from the photo in proportions, colour or pattern.",
        "Regenerate with a note that says what is wrong, or let our own code make the picture.",
    ),
    "rendition.text_changed": Code(
        "error",
        "Lettering on the product differs from the photo's in a provider's picture.",
        "Regenerate, or let our own code make the picture: it leaves the product's own pixels as they are.",
    ),
    "provider.other_model": Code(
        "warning",
        "The provider made it with another model than was asked for.",
        "Pin the model in plugin.json, or look at what changed.",
    ),
    "model.below_threshold": Code(
        "error",
        "The model's confidence is below `min_confidence` of its deliverable, and no other generator made one.",
        "Add views, add a provider to the deliverable's `generator`, or lower `min_confidence`.",
    ),
    "geometry.not_watertight": Code(
        "error", "The surface has holes once seams are welded.", "Close the open edges, or regenerate."
    ),
    "geometry.non_manifold": Code(
        "error",
        "Edges join more than two faces: no solid has such.",
        "Remove inner and doubled faces; separate what meets in one edge.",
    ),
    "geometry.winding": Code(
        "error", "Faces do not all look outwards.", "Recalculate normals outwards in a 3D tool."
    ),
    "geometry.degenerate_faces": Code(
        "warning", "Some faces have no area.", "Clean up the mesh (merge by distance, dissolve degenerate)."
    ),
    "geometry.duplicate_faces": Code(
        "warning", "Faces lie on one another: they flicker.", "Remove doubled faces (merge by distance)."
    ),
    "geometry.self_intersection": Code(
        "info",
        "The surface runs through itself.",
        "Unite the parts (boolean union), unless they are meant to stand in one another.",
    ),
    "geometry.floating": Code(
        "warning",
        "Parts hang in the air, away from the rest.",
        "Remove stray pieces, or move them to where they belong.",
    ),
    "geometry.inner": Code(
        "info", "Parts lie inside and are never seen.", "Remove them: they cost bytes and time."
    ),
    "geometry.normals": Code(
        "warning",
        "Stored normals are wrong: light falls wrongly.",
        "Recalculate the normals, and apply mirroring before export.",
    ),
    "geometry.components": Code(
        "warning",
        "The model falls into more parts than the rules allow.",
        "Remove stray pieces, or raise `checks.max_components`.",
    ),
    "geometry.too_complex": Code(
        "error",
        "The mesh cannot be simplified to the budget.",
        "Raise `max_triangles` of the deliverable, or simplify the mesh in a 3D tool.",
    ),
    "geometry.empty": Code("error", "The file holds no triangles.", "Export the mesh again."),
    "geometry.dimensions": Code(
        "error",
        "The model's bounding box is not the product's size.",
        "Scale the model in metres, or correct the product's dimensions.",
    ),
    "geometry.unit": Code(
        "error",
        "The size is none that such a product has: a wrong unit.",
        "Export in metres: one unit is one metre in glTF; or correct the product's dimensions.",
    ),
    "geometry.axis": Code(
        "error",
        "The model does not stand upright, or is turned.",
        "Export with Y up and the front towards +Z.",
    ),
    "geometry.origin": Code(
        "warning",
        "The model does not stand on y = 0 with its centre above the origin.",
        "Move the origin to the bottom centre.",
    ),
    # how textures lie on the model
    "uv.missing": Code("error", "A part with a textured material has no UVs.", "Unwrap it."),
    "uv.overlap": Code(
        "info",
        "Triangles share their place in the texture.",
        "Unwrap anew where each place should have its own colour.",
    ),
    "uv.inverted": Code(
        "warning",
        "Triangles show the texture mirrored: letters read backwards.",
        "Flip the mirrored islands.",
    ),
    "uv.range": Code(
        "info",
        "UVs leave the 0 to 1 square.",
        "Move the islands into it, unless the texture is meant to repeat.",
    ),
    "uv.gutter": Code(
        "info",
        "Islands lie too close: colours bleed at a distance.",
        "Pack them at least 4 px apart at 1024 px.",
    ),
    "uv.empty": Code("warning", "Triangles have no area in the texture.", "Unwrap them."),
    "uv.density": Code(
        "info", "The texture is far sharper in some places than in others.", "Scale the islands alike."
    ),
    # the model against the product's photos
    "likeness.outline": Code(
        "warning",
        "The model's outline differs from a photo's.",
        "Compare the pictures; regenerate with more views, or let a provider make it.",
    ),
    "likeness.proportions": Code(
        "warning",
        "The model is too wide or too high for a photo.",
        "Check the product's dimensions and the model's scale on each axis.",
    ),
    "likeness.colour": Code(
        "warning",
        "The model's colours differ from a photo's.",
        "Compare the pictures; check the texture and that the photo is of this colour.",
    ),
    "likeness.part_missing": Code(
        "warning",
        "A part that a photo shows is missing on the model.",
        "Add the part, or regenerate with larger photos or by a provider.",
    ),
    "likeness.part_extra": Code(
        "warning",
        "The model has a part that a photo does not show.",
        "Remove the part, or check that the photo is of this product.",
    ),
    "likeness.mirrored": Code(
        "warning",
        "The model is the mirror image of a photo.",
        "Mirror the model (or check that the photo was not mirrored).",
    ),
    "likeness.turned": Code(
        "warning",
        "The model is turned against a photo.",
        "Turn the front of the model towards +Z, or check the photo's view.",
    ),
    # the model's file
    "file.unreadable": Code(
        "error", "The file is not a glTF 2.0 binary that can be read.", "Export it again as GLB."
    ),
    "file.too_complex": Code(
        "error",
        "The model has more than any viewer shows, and is not looked at further.",
        "Simplify the mesh; remove repeated instances.",
    ),
    "file.harmful": Code(
        "error",
        "Checking the file crashed, took too long or took too much memory.",
        "Do not use this file: it is damaged or made to do harm. Export it again.",
    ),
    "file.stream": Code(
        "error",
        "A Draco or meshopt stream cannot be decoded, or is not what its accessors promise.",
        "Compress the model again.",
    ),
    "file.bytes": Code(
        "error",
        "The file is larger than the rules allow.",
        "Shrink the textures, compress, or raise `checks.max_model_bytes`.",
    ),
    "file.triangles": Code(
        "error",
        "The model has more triangles than the rules allow.",
        "Simplify the mesh, or raise `checks.max_triangles`.",
    ),
    "file.texture_size": Code(
        "error",
        "A texture is larger than the rules allow.",
        "Resize the texture, or raise `checks.max_texture_px`.",
    ),
    "file.texture_missing": Code(
        "warning", "The model has no base colour texture.", "Bake a base colour texture."
    ),
    "file.materials": Code(
        "warning", "The model has more materials than the rules allow.", "Merge materials into one atlas."
    ),
    "file.not_pbr": Code(
        "warning",
        "A material does not use the metallic-roughness model.",
        "Convert the material to pbrMetallicRoughness.",
    ),
    "conformance.error": Code(
        "error",
        "The Khronos glTF validator reports an error.",
        "Mend what the pointer names; the message is the validator's.",
    ),
    "conformance.warning": Code(
        "warning",
        "The Khronos glTF validator reports a warning.",
        "Mend what the pointer names; the message is the validator's.",
    ),
    "conformance.not_tested": Code(
        "info",
        "The Khronos glTF validator could not be run.",
        "Run `make frontend`, which fetches it, then check again.",
    ),
    "usdz.layout": Code(
        "error", "The USDZ package is not one that Quick Look opens.", "Regenerate; if it stays, report it."
    ),
    "usdz.stage": Code(
        "error",
        "OpenUSD's own validators find an error in the USDZ.",
        "Mend what the message names, or regenerate.",
    ),
    "usdz.advice": Code(
        "info", "OpenUSD's own validators advise something.", "Mend what the message names, where it matters."
    ),
    "usdz.axis": Code("error", "The USDZ does not stand upright in Quick Look.", "Export with Y up."),
    "usdz.texture": Code(
        "error",
        "A texture in the USDZ is none that Quick Look shows, or too large.",
        "Use PNG or JPEG within the limit.",
    ),
    "usdz.differs": Code(
        "error",
        "The USDZ does not have the size of the GLB.",
        "Set metersPerUnit to what the numbers mean, or regenerate.",
    ),
    "lod.differs": Code(
        "error",
        "A level of detail is not of the model's size, or not lighter.",
        "Regenerate; if it stays, report it.",
    ),
    "web.differs": Code(
        "error",
        "The web GLB does not hold the same model as the plain one.",
        "Regenerate; if it stays, report it.",
    ),
    # names
    "naming.pattern": Code(
        "error", "A file's name does not follow the naming rule.", "Rename it as the report says."
    ),
    "naming.profile": Code(
        "warning",
        "A file's name does not follow a profile's naming rule.",
        "Rename it as the report says, or give its deliverable a pattern of that kind.",
    ),
}
# what profiles ask of models: one code a measure, so that an admin can set each one's severity
CODES |= {
    f"limit.{name}": Code("error", f"A profile limits this: {m.title}.", m.remedy)
    for name, m in MEASURES.items()
}
