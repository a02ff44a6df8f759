"""Issue codes about product records and uploaded sheets."""

from dam_connector.domain.issue_codes.code import IssueCode, IssueSpec

PRODUCT_CODES: dict[IssueCode, IssueSpec] = {
    # the product's record
    "product.sku_unsafe": IssueSpec(
        "error",
        "The SKU cannot be used in a URL or a file name.",
        "Use at most 64 characters and no control characters, do not begin with a dot or slash, "
        "and do not use two dots in a row.",
    ),
    "product.field_missing": IssueSpec(
        "error",
        "A field that the rules require for this category is missing.",
        "Fill in the field in the PIM or the sheet.",
        admin="Or remove it from `products.required` in plugin.json.",
    ),
    "product.dimensions_implausible": IssueSpec(
        "error",
        "A product cannot have this size.",
        "Check the unit: dimensions are read in the unit that the record names, or else in metres.",
    ),
    "product.gtin_wrong": IssueSpec(
        "warning",
        "The GTIN, EAN or UPC of the product has a wrong check digit or length. It is not used: where names "
        "need it, pictures keep our own names.",
        "Correct the number in the PIM or the sheet.",
    ),
    "product.expires_soon": IssueSpec(
        "warning",
        "The last day on which the product may be live is near: its assets go offline then, in all channels.",
        "Move the date in the PIM if the licence or season goes on. Otherwise nothing is to be done.",
    ),
    "product.never_live": IssueSpec(
        "warning",
        "The product's `live_until` is not after its `live_from`, so that it never goes live.",
        "Correct one of the two dates in the PIM or the sheet. A day counts from its beginning, 00:00 UTC.",
    ),
    # the sheet as a whole
    "sheet.unreadable": IssueSpec(
        "error",
        "The file is not a CSV file or workbook that can be read.",
        "Save it as CSV (UTF-8) or XLSX and upload it again.",
    ),
    "sheet.empty": IssueSpec(
        "error",
        "The file has no rows.",
        "Fill in the template.",
    ),
    "sheet.header": IssueSpec(
        "error",
        "The first row does not name the columns.",
        "Begin with the header of the template, or choose the column for each field.",
    ),
    # one row of a sheet
    "row.value": IssueSpec(
        "error",
        "A cell has a value that its column does not accept.",
        "Correct the cell. The example row of the template shows the format.",
    ),
    "row.shifted": IssueSpec(
        "error",
        "The cells of a row are probably not in the columns that they belong to.",
        "Put texts that hold the separator or line breaks in quotation marks, "
        "and write a quotation mark in a text twice.",
    ),
    "row.duplicate": IssueSpec(
        "error",
        "Another row of the same file has this SKU.",
        "Keep one of the rows, or give each product a SKU of its own.",
    ),
    "row.makes_nothing": IssueSpec(
        "warning",
        "The row is good, and no rule makes anything of its product.",
        "Correct the category or the request of the row. The product is stored; a rule that comes "
        "later makes it.",
        admin="Or name the category under `categories` of a deliverable in plugin.json.",
    ),
    "row.picture": IssueSpec(
        "error",
        "A picture file that the row names was not uploaded with the sheet, or several have its name.",
        "Add the file to the folder or ZIP, or use the URL of the picture. "
        "If several files have one name, write the path in the folder or ZIP, e.g. `CH123/front.jpg`.",
    ),
}
