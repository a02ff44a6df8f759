"""STEP files: a box of CAD becomes a GLB of its size, upright; without the extra the reason is told."""

import sys
from collections.abc import Callable

import numpy as np
import pytest

from dam_connector.domain.brought_model import is_model_name, may_be_model, model_format
from dam_connector.errors import InputError
from worker.adoption.process import convert
from worker.modeling.glb_import import read_glb

SIZE_MM = (400, 300, 900)  # width, depth, height: Z is up
CORNERS = [(x, y, z) for x in (0, 1) for y in (0, 1) for z in (0, 1)]
# the corners of each side, seen from outside against the clock
SIDES = ((0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3))


def step_box() -> bytes:
    """Return a closed box in millimetres as STEP, AP214."""
    lines: list[str] = []

    def add(text: str) -> str:
        lines.append(f"#{len(lines) + 1}={text};")
        return f"#{len(lines)}"

    def vector(kind: str, *values: float) -> str:
        return add(f"{kind}('',({','.join(f'{float(v)}' for v in values)}))")

    places = [np.multiply(c, SIZE_MM) for c in CORNERS]
    points = [vector("CARTESIAN_POINT", *p) for p in places]
    vertices = [add(f"VERTEX_POINT('',{p})") for p in points]
    edges: dict[tuple[int, int], str] = {}
    faces = []
    for side in SIDES:
        oriented = []
        for one, two in zip(side, (*side[1:], side[0]), strict=True):
            if (two, one) not in edges:
                along = places[two] - places[one]
                direction = vector("DIRECTION", *(along / np.linalg.norm(along)))
                size = add(f"VECTOR('',{direction},1.)")
                line = add(f"LINE('',{points[one]},{size})")
                edges[one, two] = add(f"EDGE_CURVE('',{vertices[one]},{vertices[two]},{line},.T.)")
            is_same = (one, two) in edges
            edge = edges[one, two] if is_same else edges[two, one]
            oriented.append(add(f"ORIENTED_EDGE('',*,*,{edge},.{'T' if is_same else 'F'}.)"))
        first, second = places[side[1]] - places[side[0]], places[side[2]] - places[side[1]]
        normal = np.cross(first, second)
        axis = vector("DIRECTION", *(normal / np.linalg.norm(normal)))
        across = vector("DIRECTION", *(first / np.linalg.norm(first)))
        place = add(f"AXIS2_PLACEMENT_3D('',{points[side[0]]},{axis},{across})")
        plane = add(f"PLANE('',{place})")
        loop = add(f"EDGE_LOOP('',({','.join(oriented)}))")
        bound = add(f"FACE_OUTER_BOUND('',{loop},.T.)")
        faces.append(add(f"ADVANCED_FACE('',({bound}),{plane},.T.)"))
    shell = add(f"CLOSED_SHELL('',({','.join(faces)}))")
    solid = add(f"MANIFOLD_SOLID_BREP('',{shell})")
    length = add("(LENGTH_UNIT()NAMED_UNIT(*)SI_UNIT(.MILLI.,.METRE.))")
    angle = add("(NAMED_UNIT(*)PLANE_ANGLE_UNIT()SI_UNIT($,.RADIAN.))")
    solid_angle = add("(NAMED_UNIT(*)SI_UNIT($,.STERADIAN.)SOLID_ANGLE_UNIT())")
    near = add(f"UNCERTAINTY_MEASURE_WITH_UNIT(LENGTH_MEASURE(1.E-5),{length},'','')")
    context = add(
        f"(GEOMETRIC_REPRESENTATION_CONTEXT(3)GLOBAL_UNCERTAINTY_ASSIGNED_CONTEXT(({near}))"
        f"GLOBAL_UNIT_ASSIGNED_CONTEXT(({length},{angle},{solid_angle}))REPRESENTATION_CONTEXT('',''))"
    )
    shape = add(f"ADVANCED_BREP_SHAPE_REPRESENTATION('',({solid}),{context})")
    _add_product(add, shape)
    head = (
        "ISO-10303-21;\nHEADER;\nFILE_DESCRIPTION((''),'2;1');\nFILE_NAME('','',(''),(''),'','','');\n"
        "FILE_SCHEMA(('AUTOMOTIVE_DESIGN'));\nENDSEC;\nDATA;\n"
    )
    return (head + "\n".join(lines) + "\nENDSEC;\nEND-ISO-10303-21;\n").encode()


def _add_product(add: Callable[[str], str], shape: str) -> None:
    """Add the product that has a shape."""
    application = add("APPLICATION_CONTEXT('automotive design')")
    mechanics = add(f"PRODUCT_CONTEXT('',{application},'mechanical')")
    product = add(f"PRODUCT('box','box','',({mechanics}))")
    formation = add(f"PRODUCT_DEFINITION_FORMATION('','',{product})")
    stage = add(f"PRODUCT_DEFINITION_CONTEXT('part definition',{application},'design')")
    definition = add(f"PRODUCT_DEFINITION('','',{formation},{stage})")
    whole = add(f"PRODUCT_DEFINITION_SHAPE('','',{definition})")
    add(f"SHAPE_DEFINITION_REPRESENTATION({whole},{shape})")


def test_a_step_is_known_by_its_content() -> None:
    data = step_box()
    assert model_format(data) == "step" and may_be_model(data[:16])
    assert is_model_name("chair.STEP") and is_model_name("chair.stp")


def test_a_box_of_cad_stands_upright_in_its_size() -> None:
    pytest.importorskip("cascadio")
    brought = convert(step_box())
    model = read_glb(brought.glb)
    assert brought.format == "step" and "exact surfaces" in brought.losses[0]
    assert np.allclose(model.extent, (0.4, 0.9, 0.3), atol=1e-4)
    assert len(model.faces) == 12
    with pytest.raises(InputError, match="cannot be read"):
        convert(b"ISO-10303-21;\nHEADER;\n")


def test_without_the_extra_the_reason_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cascadio", None)
    with pytest.raises(InputError, match=r"dam-connector\[step\]") as found:
        convert(step_box())
    assert found.value.issue_code == "source.not_a_model"
