"""Issue codes about product photos and their cut-outs."""

from dam_connector.domain.issue_codes.code import IssueCode, IssueSpec

SOURCE_IMAGE_CODES: dict[IssueCode, IssueSpec] = {
    # fetching and decoding
    "source.url_refused": IssueSpec(
        "error",
        "The connector may not fetch from the picture's URL.",
        "Use an address of the web that begins with https:// and that anybody can open.",
        admin="Or let the connector fetch from the host: DAM_CONNECTOR_ALLOW_HOSTS.",
    ),
    "source.other_connection": IssueSpec(
        "error",
        "The address names a file of a connection that this record may not use.",
        "Name a file of the record's own PIM, of the DAM in which versions are reviewed, or of a DAM with"
        " `sources` in plugin.json.",
    ),
    "source.not_found": IssueSpec(
        "error",
        "There is no picture at this URL.",
        "Correct the URL in the PIM. It must be readable without a login.",
    ),
    "source.unreachable": IssueSpec(
        "error",
        "The picture's server did not answer in time, after several attempts.",
        "Check that the server is up. Then try the row again, or fetch the product's photos again.",
    ),
    "source.too_large": IssueSpec(
        "error",
        "The picture has more bytes or pixels than the limits allow.",
        "Supply a smaller file. 4000 px on the longer side is enough.",
    ),
    "source.not_an_image": IssueSpec(
        "error",
        "The file is not a picture in a format that can be read.",
        "Supply JPEG, PNG, WebP, TIFF or AVIF.",
    ),
    "source.not_a_model": IssueSpec(
        "error",
        "The file is not a model that can be read.",
        "Supply GLB, glTF, USDZ, OBJ or STEP; one that has files beside it as a ZIP with all of them.",
    ),
    "source.damaged": IssueSpec(
        "error",
        "The picture file is incomplete or damaged.",
        "Upload the picture again at its source.",
    ),
    "source.too_small": IssueSpec(
        "error",
        "The picture has too few pixels for this deliverable.",
        "Supply at least 200 px on the shorter side; 1500 px is better.",
    ),
    "source.inspiration": IssueSpec(
        "warning",
        "The inspiration image cannot be used, so lifestyle pictures keep the colours of their rooms.",
        "Correct the address of the inspiration image: a public JPEG, PNG, WebP, TIFF or AVIF picture.",
    ),
    "source.spin": IssueSpec(
        "warning",
        "The spin cannot be used, so the model is made from the named photos.",
        "Give 8 to 72 frames of a full turn in equal steps, each a readable picture of at most 16 MB.",
    ),
    "source.walk": IssueSpec(
        "warning",
        "The walk around the product cannot be used, so the model is made without it.",
        "Give 12 to 72 photos, better 20 to 60, each a readable picture of at most 16 MB.",
    ),
    "source.missing_view": IssueSpec(
        "error",
        "The deliverable needs a view for which the product has no usable picture.",
        "Add a photo of this view.",
        admin="Or name other `views` in the deliverable.",
    ),
    "source.no_front": IssueSpec(
        "warning",
        "No usable photo shows the product from the front or from a corner, so another side was taken.",
        "Upload a photo of the front on the product's page, or add it in the PIM: the next version is made "
        "from it. If this side is meant to be shown, nothing needs to be done.",
        admin="A side that is meant is not warned of where it is the first of the deliverable's `views`.",
    ),
    "source.missing_model": IssueSpec(
        "error",
        "The deliverable is rendered from a model of which the product has no usable version.",
        "Read the report of the model, and regenerate it.",
    ),
    # what the photo shows
    "source.blurred": IssueSpec(
        "warning",
        "The edges of the product are blurred.",
        "Supply a photo in focus, without motion blur, that was not enlarged.",
    ),
    "source.overexposed": IssueSpec(
        "warning",
        "Large parts of the product are pure white.",
        "Supply a photo with less light.",
    ),
    "source.underexposed": IssueSpec(
        "warning",
        "The photo is nearly black.",
        "Supply a photo with more light.",
    ),
    "source.several_objects": IssueSpec(
        "warning",
        "The photo shows several separate objects of similar size.",
        "Supply a photo of the product alone, unless it is a set.",
    ),
    "source.person": IssueSpec(
        "warning",
        "The photo shows a person, who is cut out with the product.",
        "Supply a photo of the product alone, or waive the issue if the picture may show the person.",
    ),
    "source.mirror_image": IssueSpec(
        "warning",
        "A glossy table mirrors the product; the cut-out may hold a part of the mirror image.",
        "Look at the picture's lower edge, and correct the mask where it is wrong. Or supply a photo on a "
        "matt table.",
    ),
    "source.background_busy": IssueSpec(
        "warning",
        "The background is not plain.",
        "Supply a photo on a plain background, or a transparent PNG.",
    ),
    "source.same_picture": IssueSpec(
        "warning",
        "Two views have the same picture.",
        "Give each view its own photo, unless the product looks alike from both sides. Other differences "
        "from the photos may follow from it.",
    ),
    "source.wrong_view": IssueSpec(
        "warning",
        "The outline fits another side of the product better than the view that the photo is assigned to.",
        "Check which view the photo shows, and the dimensions of the product.",
    ),
    "source.profile_missing": IssueSpec(
        "info",
        "The picture has no colour profile, but its colours need one.",
        "Embed a profile when you export the picture.",
    ),
    "source.cmyk": IssueSpec(
        "info",
        "The picture is in CMYK, for print.",
        "Supply sRGB. Colours are converted, and bright colours may change.",
    ),
    "source.animated": IssueSpec(
        "warning",
        "The picture has several frames.",
        "Supply a still picture.",
    ),
    "source.rotated": IssueSpec(
        "info",
        "The picture was rotated upright, as its EXIF orientation says.",
        "Nothing needs to be done.",
    ),
    # the cut-out
    "cutout.empty": IssueSpec(
        "error",
        "No product was found in the picture.",
        "Supply a photo of the product on a plain background.",
    ),
    "cutout.uncertain": IssueSpec(
        "error",
        "The product could not be separated from the background with confidence, or the photo shows none.",
        "Look at the mask on the page of a picture of this photo: accept the error if its edges are right, "
        "else correct it by strokes. Or supply a photo on a plain, contrasting background, or a transparent "
        "PNG. A photo that shows no single product, e.g. a room, is to be replaced.",
    ),
    "cutout.corrected": IssueSpec(
        "info",
        "A person corrected the mask of this photo by strokes.",
        "Look at the whole mask before you approve. The strokes belong to the photo: they count for every "
        "product that has it.",
    ),
    "cutout.no_net": IssueSpec(
        "warning",
        "The net for cut-outs that the rules name is not there, so the product was cut out without it.",
        "Look at the edges of the cut-out.",
        admin=("Put the file into the folder `nets` of the data directory, or set `imaging.net` to `none`."),
    ),
    "cutout.print_lost": IssueSpec(
        "warning",
        "Letters on the photo are not in the cut-out, or only without the paper around them.",
        "Look at the mask on the page of a picture that is made from this photo: keep the white parts with "
        "print by strokes, or the whole package. "
        "If the text does not belong to the product, nothing needs to be done.",
    ),
    "cutout.cropped": IssueSpec(
        "warning",
        "The product touches the edge of the photo.",
        "Supply a photo with some space around the product.",
    ),
}
