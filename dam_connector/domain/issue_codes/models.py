"""Issue codes about models: shape, geometry, UVs, and likeness to the photos."""

from dam_connector.domain.issue_codes.code import IssueCode, IssueSpec

MODEL_CODES: dict[IssueCode, IssueSpec] = {
    # captures: many photos of one product
    "capture.frame_count": IssueSpec(
        "error",
        "A capture has too few or too many frames.",
        "Supply 8 to 72 frames of a full turn.",
    ),
    "capture.frame_size": IssueSpec(
        "error",
        "The frames of a spin are of different sizes, so they are not from one fixed camera.",
        "Supply all frames as the camera took them, without cropping.",
    ),
    "capture.not_a_spin": IssueSpec(
        "error",
        "The outlines of the frames do not fit one product on a turntable before a fixed camera.",
        "Supply a full turn in equal steps and in order, on a plain background, with the camera a little "
        "above the product; or make the model from named photos.",
    ),
    "capture.walk_count": IssueSpec(
        "error",
        "A walk around the product has too few or too many photos.",
        "Take 20 to 60 photos: a low round and a high one, a step apart.",
    ),
    "capture.walk_extra": IssueSpec(
        "error",
        "Models from walks need a library that is not installed.",
        "Install the extra: pip install 'dam-connector[walk]'.",
    ),
    "capture.not_placed": IssueSpec(
        "error",
        "Too few photos of a walk fit together.",
        "Take the photos a small step apart, sharp, with much of the ground in each, and move nothing in "
        "between. Put a patterned cloth or a newspaper below the product.",
    ),
    "capture.no_ground": IssueSpec(
        "error",
        "The ground below the product was not found.",
        "Put the product on a level floor or table with a pattern, and take the photos from above its edge. "
        "Frames of a turntable belong into `spin_images`.",
    ),
    "capture.no_outline": IssueSpec(
        "error",
        "The photos of a walk do not show one product alike.",
        "Choose a ground and a room that differ from the product, keep the whole product in each photo, and "
        "move nothing in between; or make the model from named photos.",
    ),
    # how the shape was made from photos
    "model.spin_unused": IssueSpec(
        "warning",
        "No model could be made from the spin, so it was made from other photos.",
        "Read in the message why, and from which. Take the frames with one fixed camera, all around in equal "
        "steps, and regenerate.",
    ),
    "model.walk_unused": IssueSpec(
        "warning",
        "No model could be made from the walk, so it was made from other photos.",
        "Read in the message why, and from which. Take the photos as docs/photos.md says, and regenerate.",
    ),
    "model.dimensions_missing": IssueSpec(
        "warning",
        "The product's size is not known on every axis, so the size of the model is a guess.",
        "Give width, height and depth.",
    ),
    "model.single_view": IssueSpec(
        "info",
        "The model was made from one photo, so the sides that it does not show are invented.",
        "Add photos of the right, back and top.",
    ),
    "model.views_disagree": IssueSpec(
        "warning",
        "The outlines of the photos contradict each other or the dimensions.",
        "Check that each photo shows the view it is assigned to, and that the dimensions are this product's.",
    ),
    "model.view_recognised": IssueSpec(
        "warning",
        "By its proportions, a photo shows another side of the product than the one that it was given as.",
        "Give the photo as the side that it shows, or correct the product's dimensions.",
    ),
    "model.view_left_out": IssueSpec(
        "warning",
        "A photo was not used for the model because its cut-out is uncertain.",
        "Supply this view on a plain, contrasting background.",
    ),
    "model.part_lost": IssueSpec(
        "warning",
        "A thin part of the product was lost, and the rest was stretched to the product's size.",
        "Compare the model with the photos. Supply larger photos of the thin parts, "
        "or have a provider make this model.",
    ),
    "model.forecast": IssueSpec(
        "warning",
        "No model was made: ours would probably not be good enough, and no other generator makes it.",
        "The message says what would help, e.g. photos of other sides. "
        "A model that was made elsewhere can be uploaded.",
        admin="Add a provider to `generator` of the deliverable, or lower `min_forecast` under `when`.",
    ),
    "model.low_confidence": IssueSpec(
        "warning",
        "The shape is uncertain. The message says why.",
        "Compare the model with the photos before you approve it. "
        "The message names what would make a better one.",
    ),
    "model.below_threshold": IssueSpec(
        "error",
        "The shape is less certain than the rules demand, and no other generator made one.",
        "Add photos of other sides.",
        admin="Add a provider to `generator` of the deliverable, or lower its `min_confidence`.",
    ),
    # how a finished model was treated
    "model.over_budget": IssueSpec(
        "warning",
        "The model has more triangles than its budget. Fewer would have changed its look.",
        "Simplify it in a 3D tool.",
        admin="Or raise `max_triangles` of the deliverable.",
    ),
    "model.larger": IssueSpec(
        "info",
        "The model is larger than it came, because a rule demands it. The message says which.",
        "Nothing, if the size is fine. Else supply the model with less detail, or with Draco compression.",
    ),
    "model.look_changed": IssueSpec(
        "error",
        "Our finishing changed the look of a model that was made elsewhere.",
        "Compare it with the original. Report the fault if the message names nothing that explains it.",
    ),
    "model.converted": IssueSpec(
        "warning",
        "The model was of another format, and its GLB does not hold all of it.",
        "Compare it with the original, or supply the model as GLB.",
    ),
    "model.preview_differs": IssueSpec(
        "warning",
        "The model has something that our own pictures of it do not show; KTX2 not in the viewer either.",
        "Look at the GLB in a viewer that shows it before you approve it.",
    ),
    # colour variants
    "variant.impossible": IssueSpec(
        "error",
        "The model's colours cannot be changed. The message says why.",
        "Make the variants in a 3D tool: a GLB with KHR_materials_variants passes through unharmed.",
    ),
    "variant.colour": IssueSpec(
        "error",
        "A colour variant differs from its photo or swatch.",
        "Supply a photo in plain light, or the colour as #rrggbb. Metal and glass keep their own colour.",
    ),
    # the mesh
    "geometry.not_watertight": IssueSpec(
        "error",
        "The surface has holes after its seams are welded.",
        "Close the open edges, or regenerate.",
    ),
    "geometry.non_manifold": IssueSpec(
        "error",
        "Some edges join more than two faces, which no solid body has.",
        "Remove inner and duplicate faces, and separate parts that meet in one edge.",
    ),
    "geometry.winding": IssueSpec(
        "error",
        "Some faces point inwards.",
        "Recalculate the normals outwards in a 3D tool.",
    ),
    "geometry.degenerate_faces": IssueSpec(
        "warning",
        "Some faces have no area.",
        "Clean up the mesh (merge by distance, dissolve degenerate).",
    ),
    "geometry.duplicate_faces": IssueSpec(
        "warning",
        "Some faces lie exactly on top of others, which makes them flicker.",
        "Remove duplicate faces (merge by distance).",
    ),
    "geometry.self_intersection": IssueSpec(
        "info",
        "The surface intersects itself.",
        "Unite the parts (boolean union), unless they are meant to overlap.",
    ),
    "geometry.floating": IssueSpec(
        "warning",
        "Some parts are not connected to the rest and float in the air.",
        "Remove stray pieces, or move them into place.",
    ),
    "geometry.inner": IssueSpec(
        "info",
        "Some parts are inside the model and never visible.",
        "Remove them: they cost bytes and rendering time.",
    ),
    "geometry.normals": IssueSpec(
        "warning",
        "The stored normals are wrong, which gives wrong shading.",
        "Recalculate the normals, and apply mirroring before you export.",
    ),
    "geometry.components": IssueSpec(
        "warning",
        "The model has more separate parts than the rules allow.",
        "Remove stray pieces.",
        admin="Or raise `checks.max_components`.",
    ),
    "geometry.too_complex": IssueSpec(
        "error",
        "The mesh cannot be simplified to the number of triangles allowed.",
        "Simplify the mesh in a 3D tool.",
        admin="Or raise `max_triangles` of the deliverable.",
    ),
    "geometry.empty": IssueSpec(
        "error",
        "The file has no triangles.",
        "Export the mesh again.",
    ),
    # size and placement
    "geometry.dimensions": IssueSpec(
        "error",
        "The model's bounding box does not have the product's size.",
        "Scale the model in metres, or correct the product's dimensions.",
    ),
    "geometry.unit": IssueSpec(
        "error",
        "No such product has this size: the unit is wrong.",
        "Export in metres (one unit is one metre in glTF), or correct the product's dimensions.",
    ),
    "geometry.axis": IssueSpec(
        "error",
        "The model is not upright, or is rotated.",
        "Export with Y up and the front towards +Z.",
    ),
    "geometry.origin": IssueSpec(
        "warning",
        "The bottom of the model is not at y = 0, or its centre is not above the origin.",
        "Move the origin to the centre of the bottom.",
    ),
    # texture coordinates
    "uv.missing": IssueSpec(
        "error",
        "A part with a textured material has no UVs.",
        "Unwrap it.",
    ),
    "uv.overlap": IssueSpec(
        "info",
        "Several triangles use the same area of the texture.",
        "Unwrap the model again if each area should have its own colour.",
    ),
    "uv.inverted": IssueSpec(
        "warning",
        "Some triangles show the texture mirrored, so letters read backwards.",
        "Flip the mirrored islands.",
    ),
    "uv.range": IssueSpec(
        "info",
        "Some UVs are outside the range 0 to 1.",
        "Move the islands into it, unless the texture is meant to repeat.",
    ),
    "uv.gutter": IssueSpec(
        "info",
        "Some islands are too close, so colours bleed at a distance.",
        "Pack them at least 4 px apart at 1024 px.",
    ),
    "uv.empty": IssueSpec(
        "warning",
        "Some triangles have no area in the texture.",
        "Unwrap them.",
    ),
    "uv.density": IssueSpec(
        "info",
        "The texture has a much higher resolution in some places than in others.",
        "Give the islands the same scale.",
    ),
    # the model compared with the photos
    "likeness.outline": IssueSpec(
        "warning",
        "The outline of the model differs from a photo.",
        "Compare the pictures. Regenerate with more views, or have a provider make the model.",
    ),
    "likeness.proportions": IssueSpec(
        "warning",
        "The model is too wide or too high compared with a photo.",
        "Check the product's dimensions and the model's scale on each axis.",
    ),
    "likeness.colour": IssueSpec(
        "warning",
        "The colours of the model differ from a photo.",
        "Compare the pictures. Check the texture, and that the photo shows the product in this colour.",
    ),
    "likeness.part_missing": IssueSpec(
        "warning",
        "The model lacks a part that a photo shows.",
        "Add the part, or regenerate with larger photos or by a provider.",
    ),
    "likeness.part_extra": IssueSpec(
        "warning",
        "The model has a part that a photo does not show.",
        "Remove the part, or check that the photo shows this product.",
    ),
    "likeness.mirrored": IssueSpec(
        "warning",
        "The model is the mirror image of a photo.",
        "Mirror the model, or check that the photo was not mirrored.",
    ),
    "likeness.turned": IssueSpec(
        "warning",
        "The model is rotated compared with a photo.",
        "Rotate the front of the model towards +Z, or check the photo's view.",
    ),
}
