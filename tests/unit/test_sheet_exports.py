"""Sheets of catalog systems, and product exports of shops and PIMs, exactly as they are written."""

import pytest

from dam_connector.domain.product import Product
from tests.unit.test_sheet_cases import images, one, read, sizes


def test_a_sheet_without_skus_makes_them_from_names_and_says_so() -> None:
    found, notes = read(
        "Product Name,Product Image URL,Inspiration Image,Height,Width,Depth,Prompt,Number of images,"
        "Aspect ratio,Request type\nModern Dining Chair,https://x.example/a.jpg,https://x.example/i.jpg,"
        "33.5,18.1,19.3,by the sea,2,4:5,Lifestyle\nStool,https://x.example/b.jpg,,,,,,,,Studio\n"
    )
    chair = found[0]
    assert (
        isinstance(chair, Product)
        and chair.sku == "MODERN-DINING-CHAIR"
        and "from the product's name" in notes
    )
    assert sizes(chair) == (0.45974, 0.8509, 0.49022) and chair.inspiration_image == "https://x.example/i.jpg"
    assert (chair.request.types, chair.request.images, chair.request.aspect) == (("lifestyle",), 2, "4:5")
    assert isinstance(found[1], Product) and found[1].sku == "STOOL"


def test_a_catalog_importer_s_sheet() -> None:
    found = one(
        'sku,title,image_url,brand,style_tags\nSKU-1,Vase,https://x.example/v.jpg,Tarn,"calm, clay"\n'
    )
    assert (found.sku, found.name, found.brand, found.style_tags) == ("SKU-1", "Vase", "Tarn", "calm, clay")


def test_a_checklist_sheet() -> None:
    found = one("Product name,SKU,Image file name,Generation status\nVase,V1,vase.jpg,\n")
    assert (found.sku, found.name, images(found)) == ("V1", "Vase", {"front": "vase.jpg"})


def test_an_export_of_woocommerce() -> None:
    data = (
        "ID,Type,SKU,Name,Categories,Length (cm),Width (cm),Height (cm),Images,Parent\n"
        '12,simple,A1,Chair,"Furniture > Chairs, Sale",49,46,85,'
        '"https://x.example/a.jpg, https://x.example/b-left.jpg",\n'
        "13,variable,P,Table,Tables,,,,https://x.example/t.jpg,\n14,variation,P-1,,,,,,,id:13\n"
    )
    found, notes = read(data)
    chair, _, variation = found
    assert isinstance(chair, Product) and (chair.sku, chair.category) == ("A1", "Chairs")
    assert sizes(chair) == (0.46, 0.85, 0.49) and "WooCommerce" in notes and chair.request.images is None
    assert images(chair) == {"front": "https://x.example/a.jpg", "left": "https://x.example/b-left.jpg"}
    assert isinstance(variation, Product) and (variation.name, variation.category) == ("Table", "Tables")


def test_an_export_of_shopify() -> None:
    data = (
        "Handle,Title,Vendor,Type,Option1 Name,Option1 Value,Variant SKU,"
        "Image Src,Image Position,Variant Image\n"
        "chair,Chair,Nord,furniture,Color,Red,A1,https://cdn.example/a.jpg?v=1,1,\n"
        "chair,,,,,Blue,A2,https://cdn.example/b.jpg?v=1,2,https://cdn.example/blue.jpg\n"
        "chair,,,,,,,https://cdn.example/c.jpg?v=1,3,\n"
        "lamp,Lamp,Nord,lighting,Title,Default Title,L1,https://cdn.example/l.jpg,1,\n"
    )
    found, notes = read(data)
    assert all(isinstance(p, Product) for p in found) and "Shopify" in notes
    red, blue, lamp = [p for p in found if isinstance(p, Product)]
    assert (red.sku, red.name, red.brand, red.category, red.color) == (
        "A1",
        "Chair",
        "Nord",
        "furniture",
        "Red",
    )
    assert images(red) == {
        "front": "https://cdn.example/a.jpg?v=1",
        "detail": "https://cdn.example/b.jpg?v=1",
    }
    assert (blue.sku, blue.name, blue.color) == ("A2", "Chair", "Blue")
    assert images(blue)["front"] == "https://cdn.example/blue.jpg" and lamp.color == ""


@pytest.mark.parametrize("position", ["²", "1" * 5000, "-1", "x"])
def test_a_position_that_is_none_stops_no_export(position: str) -> None:
    data = (
        "Handle,Title,Option1 Name,Option1 Value,Variant SKU,Image Src,Image Position\n"
        f"chair,Chair,Color,Red,A1,https://cdn.example/a.jpg,{position}\n"
        "chair,,,,,https://cdn.example/b.jpg,2\n"
    )
    assert images(one(data))["front"] == "https://cdn.example/a.jpg"


def test_an_export_of_magento() -> None:
    data = (
        "sku,store_view_code,attribute_set_code,product_type,categories,name,base_image,additional_images,"
        'additional_attributes\nM1,,Default,simple,"Default/Gear,Default/Gear/Bags",Bag,/b/a.jpg,'
        '"/b/a-back.jpg","color=Blue,material=Canvas"\nM1,de,Default,simple,,Tasche,,,\n'
    )
    bag = one(data)
    assert (bag.sku, bag.name, bag.category, bag.color, bag.material) == (
        "M1",
        "Bag",
        "Bags",
        "Blue",
        "Canvas",
    )
    assert images(bag) == {"front": "/b/a.jpg", "back": "/b/a-back.jpg"}


def test_an_export_of_akeneo() -> None:
    data = (
        "sku;categories;enabled;family;groups;name-en_US;name-de_DE;width;width-unit;"
        "height;height-unit;picture\n"
        "K1;chairs,sale;1;seating;;Chair;Stuhl;460;MILLIMETER;85,5;CENTIMETER;files/K1/picture/chair.jpg\n"
    )
    chair = one(data)
    assert (chair.sku, chair.name, chair.category) == ("K1", "Chair", "chairs")
    assert sizes(chair) == (0.46, 0.855, None) and images(chair) == {"front": "files/K1/picture/chair.jpg"}


def test_a_feed_of_google_merchant_center() -> None:
    data = (
        "id\ttitle\tlink\timage link\tadditional image link\tproduct type\tbrand\tproduct_width\n"
        "G1\tChair\thttps://s.example/c\thttps://s.example/f.jpg\t"
        "https://s.example/back.jpg,https://s.example/x.jpg\tHome > Chairs\tNord\t18 in\n"
    )
    chair = one(data)
    assert (chair.sku, chair.name, chair.category, chair.brand) == ("G1", "Chair", "Chairs", "Nord")
    assert sizes(chair)[0] == 0.4572
    assert images(chair) == {
        "front": "https://s.example/f.jpg",
        "back": "https://s.example/back.jpg",
        "detail": "https://s.example/x.jpg",
    }
