"""The view that a picture's name or alt text names, and words that only look like one."""

import pytest

from schemas.image_views import images_by_view, named_view


@pytest.mark.parametrize(
    ("text", "view"),
    [
        ("chair-left.jpg", "left"),
        ("/wp-content/uploads/2026/11/chair_back.jpg", "back"),
        ("CH123_front_01.png", "front"),
        ("CH123-back-1024x1024.webp", "back"),
        ("back.jpg", "back"),
        ("front_CH123.jpg", "front"),
        ("Falun chair, back", "back"),
        ("Falun chair - left", "left"),
        ("Falun chair (top)", "top"),
        ("Back view of the chair", "back"),
        ("The chair's left side", "left"),
        ("View from the top", "top"),
        ("Top", "top"),
    ],
)
def test_a_text_that_names_a_view(text: str, view: str) -> None:
    assert named_view(text) == view


@pytest.mark.parametrize(
    "text",
    [
        "Table top oak",
        "Oak table top",
        "table-top-oak.jpg",
        "Sofa with a high back in green",
        "backpack.jpg",
        "Left-handed scissors",
        "left-handed-scissors.jpg",
        "A hero of a chair",
        "Front loading washer",
        "IMG_1234.jpg",
        "",
    ],
)
def test_a_word_of_the_product_names_no_view(text: str) -> None:
    assert named_view(text) == ""


def test_the_products_own_name_names_no_view_but_the_rest_of_the_text_does() -> None:
    images = [
        ("a", "oak-table-top.jpg"),
        ("b", "oak-table-top-back.jpg\nOak table top"),
        ("c", "Oak table top"),
    ]
    assert images_by_view(images, ("front", "right"), name="Oak table top") == {
        "front": "a",
        "back": "b",
        "right": "c",
    }
