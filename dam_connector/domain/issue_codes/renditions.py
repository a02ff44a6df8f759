"""Issue codes about renditions: pictures that were made."""

from dam_connector.domain.issue_codes.code import IssueCode, IssueSpec

RENDITION_CODES: dict[IssueCode, IssueSpec] = {
    # the picture itself
    "rendition.enlarged": IssueSpec(
        "warning",
        "The product was enlarged beyond the resolution of the photo.",
        "Supply a larger photo, or ask for a smaller rendition.",
    ),
    "rendition.upscaled": IssueSpec(
        "info",
        "The picture was upscaled, so its fine detail is estimated.",
        "Supply a larger photo where detail matters.",
    ),
    "rendition.bytes": IssueSpec(
        "error",
        "The file is larger than the rules allow.",
        "Ask for a smaller picture.",
        admin="Lower `size_px` or raise `checks.max_image_bytes`.",
    ),
    "rendition.likeness": IssueSpec(
        "warning",
        "The colours of the product visibly differ from the photo.",
        "Allow more bytes, or make a smaller picture.",
    ),
    "rendition.size": IssueSpec(
        "error",
        "The rendition does not have the size that the deliverable asks for.",
        "Regenerate it. If the issue comes back, report it.",
    ),
    # the scene of a lifestyle picture
    "rendition.no_scene": IssueSpec(
        "error",
        "No scene suits the photo, so the product was set before a plain backdrop.",
        "Supply a photo that shows the whole product. Or accept the error, if the picture may be used.",
    ),
    "rendition.scene_unsure": IssueSpec(
        "warning",
        "The product may look wrong in its scene.",
        "Look at the picture. Correct the mask or the view, or supply a photo that shows the whole product.",
    ),
    "rendition.size_guessed": IssueSpec(
        "info",
        "The size of the product is unknown, so the scale of its scene is a guess.",
        "Give the dimensions, or a category that names the kind of product.",
    ),
    "rendition.video": IssueSpec(
        "error",
        "The video does not play everywhere.",
        "Regenerate the rendition. If it happens again, take mp4 out of `formats` and report it.",
    ),
    "rendition.video_extra": IssueSpec(
        "error",
        "Videos need a library that is not installed.",
        "Install the extra: pip install 'dam-connector[video]'. Or take mp4 out of `formats`.",
    ),
    "rendition.prompt_ignored": IssueSpec(
        "info",
        "The prompt did not change the picture.",
        "Name a set or a colour that suits the product, e.g. marble, plinth, shelf, window, kitchen, linen, "
        "concrete, terrazzo, outdoors, green. Or use a provider that reads prompts.",
    ),
    # the product in a provider's picture
    "rendition.product_unsure": IssueSpec(
        "error",
        "The product of the photo was not found in the provider's picture.",
        "Compare the two pictures. Accept the error, or regenerate.",
    ),
    "rendition.product_cut": IssueSpec(
        "error",
        "The provider's picture does not show the whole product.",
        "Regenerate, or ask in the prompt for more space around the product.",
    ),
    "rendition.product_changed": IssueSpec(
        "error",
        "The product in the provider's picture differs from the photo in proportions, colour or pattern.",
        "Regenerate with a note that says what is wrong, or with the connector itself as the generator.",
    ),
    "rendition.text_changed": IssueSpec(
        "error",
        "The lettering on the product in the provider's picture differs from the photo.",
        "Regenerate, or choose the connector itself as the generator: it does not change the pixels "
        "of the product.",
    ),
    # what channels demand of pictures
    "profile.format": IssueSpec(
        "warning",
        "A channel accepts none of the formats that were made.",
        "The version cannot go to this channel.",
        admin="Add one of its formats to `formats`.",
    ),
    "profile.too_small": IssueSpec(
        "warning",
        "The picture has fewer pixels than a channel demands.",
        "Ask for a larger picture.",
        admin="Raise `size_px`.",
    ),
    "profile.below_advice": IssueSpec(
        "info",
        "The picture has fewer pixels than a channel advises.",
        "Ask for a larger picture, if the photo has enough pixels.",
        admin="Raise `size_px`.",
    ),
    "profile.too_large": IssueSpec(
        "warning",
        "The picture has more pixels than a channel accepts.",
        "Ask for a smaller picture.",
        admin="Lower `size_px`.",
    ),
    "profile.bytes": IssueSpec(
        "warning",
        "The file is larger than a channel accepts, even at the lowest quality.",
        "Ask for a smaller picture.",
        admin="Lower `size_px`.",
    ),
    "profile.background": IssueSpec(
        "warning",
        "The background does not have the colour that a channel demands.",
        "Regenerate with another background. A shadow must not reach the edge of the picture.",
        admin="Set `background`.",
    ),
    "profile.fill": IssueSpec(
        "warning",
        "The product fills more or less of the picture than a channel demands.",
        "Regenerate with more or less room around the product.",
        admin="Change `fill`.",
    ),
    "profile.aspect": IssueSpec(
        "warning",
        "The picture has another aspect ratio than a channel demands.",
        "Ask for another crop.",
        admin="Change `aspect`.",
    ),
    # provenance
    "label.lost": IssueSpec(
        "error",
        "A provenance label could not be read back from the file.",
        "Regenerate it. If the issue comes back, report it.",
    ),
    "provider.other_model": IssueSpec(
        "warning",
        "The provider used another generative model than the one that was requested.",
        "Compare the picture with earlier ones.",
        admin="Pin the model in plugin.json, or check what changed.",
    ),
}
