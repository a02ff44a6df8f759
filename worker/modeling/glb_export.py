"""GLB out (foreign.py reads). What is written has bounds, buffer-view targets and nothing that the Khronos validator remarks on."""

from collections.abc import Callable, Mapping

import numpy as np
import pygltflib as gltf
from numpy.typing import NDArray

from dam_connector import __version__
from worker.modeling.textured_mesh import TexturedMesh, tangents

GENERATOR = f"dam-connector {__version__}"


def write_glb(model: TexturedMesh, name: str, extras: Mapping[str, str] | None = None) -> bytes:
    """The model as a GLB: one node, one mesh, one material."""
    doc = new_document(extras)
    blob = BinaryBuffer(doc)
    attributes = gltf.Attributes(
        POSITION=blob.add_accessor(model.positions, gltf.VEC3, gltf.ARRAY_BUFFER, bounds=True),
        NORMAL=blob.add_accessor(model.normals, gltf.VEC3, gltf.ARRAY_BUFFER),
        TANGENT=blob.add_accessor(tangents(model), gltf.VEC4, gltf.ARRAY_BUFFER)
        if "normal" in model.maps
        else None,
        TEXCOORD_0=blob.add_accessor(model.uvs, gltf.VEC2, gltf.ARRAY_BUFFER) if model.has_pictures else None,
    )
    small = len(model.positions) < 65_535
    indices = model.faces.ravel().astype(np.uint16 if small else np.uint32)
    primitive = gltf.Primitive(
        attributes=attributes,
        indices=blob.add_accessor(indices, gltf.SCALAR, gltf.ELEMENT_ARRAY_BUFFER),
        material=0,
    )
    doc.materials.append(gltf_material(model, name, blob.add_picture))
    doc.meshes.append(gltf.Mesh(name=name, primitives=[primitive]))
    return blob.finish(name)


def gltf_material(model: TexturedMesh, name: str, picture: Callable[[bytes], int]) -> gltf.Material:
    """The model's material. picture: puts an encoded picture into the document and gives its texture's index."""
    pbr = gltf.PbrMetallicRoughness(
        metallicFactor=model.metallic, roughnessFactor=model.roughness, baseColorFactor=list(model.color)
    )
    made = gltf.Material(name=f"{name}_material", pbrMetallicRoughness=pbr, alphaCutoff=None)
    if model.texture is not None:
        pbr.baseColorTexture = gltf.TextureInfo(index=picture(model.texture))
    if "metallic_roughness" in model.maps:
        pbr.metallicRoughnessTexture = gltf.TextureInfo(index=picture(model.maps["metallic_roughness"]))
    if "normal" in model.maps:
        made.normalTexture = gltf.NormalMaterialTexture(index=picture(model.maps["normal"]))
    if "occlusion" in model.maps:
        made.occlusionTexture = gltf.OcclusionTextureInfo(index=picture(model.maps["occlusion"]))
    if "emissive" in model.maps:
        made.emissiveTexture = gltf.TextureInfo(index=picture(model.maps["emissive"]))
        made.emissiveFactor = [1.0, 1.0, 1.0]
    return made


def new_document(extras: Mapping[str, str] | None) -> gltf.GLTF2:
    """An empty document of ours. extras: labels in `asset.extras`."""
    return gltf.GLTF2(asset=gltf.Asset(version="2.0", generator=GENERATOR, extras=dict(extras or {})))


class BinaryBuffer:
    """The binary chunk of a document while it grows; every view begins on four bytes."""

    def __init__(self, doc: gltf.GLTF2) -> None:
        self._doc, self._data = doc, bytearray()

    def add_view(self, data: bytes, target: int | None = None) -> int:
        self._doc.bufferViews.append(
            gltf.BufferView(buffer=0, byteOffset=len(self._data), byteLength=len(data), target=target)
        )
        self._data += data + b"\x00" * (-len(data) % 4)
        return len(self._doc.bufferViews) - 1

    def add_accessor(
        self, array: NDArray[np.generic], kind: str, target: int, *, bounds: bool = False
    ) -> int:
        types = {"float32": gltf.FLOAT, "uint16": gltf.UNSIGNED_SHORT, "uint32": gltf.UNSIGNED_INT}
        self._doc.accessors.append(
            gltf.Accessor(
                bufferView=self.add_view(np.ascontiguousarray(array).tobytes(), target),
                componentType=types[str(array.dtype)],
                count=len(array),
                type=kind,
                min=array.min(0).tolist() if bounds else None,
                max=array.max(0).tolist() if bounds else None,
            )
        )
        return len(self._doc.accessors) - 1

    def add_picture(self, data: bytes, *, mime: str = "", extension: str = "") -> int:
        """The index of a texture with this encoded picture: smooth near and far, not repeated. extension: the one that names its source."""
        mime = mime or ("image/png" if data[:4] == b"\x89PNG" else "image/jpeg")
        self._doc.images.append(gltf.Image(bufferView=self.add_view(data), mimeType=mime))
        if not self._doc.samplers:
            self._doc.samplers.append(
                gltf.Sampler(
                    magFilter=gltf.LINEAR,
                    minFilter=gltf.LINEAR_MIPMAP_LINEAR,
                    wrapS=gltf.CLAMP_TO_EDGE,
                    wrapT=gltf.CLAMP_TO_EDGE,
                )
            )
        source = len(self._doc.images) - 1
        self._doc.textures.append(
            gltf.Texture(sampler=0, extensions={extension: {"source": source}})
            if extension
            else gltf.Texture(sampler=0, source=source)
        )
        return len(self._doc.textures) - 1

    def finish(self, name: str) -> bytes:
        """The file: one node with the document's mesh."""
        self._doc.nodes.append(gltf.Node(name=name, mesh=0))
        self._doc.scenes.append(gltf.Scene(nodes=[0]))
        self._doc.scene = 0
        self._doc.buffers.append(gltf.Buffer(byteLength=len(self._data)))
        self._doc.set_binary_blob(bytes(self._data))
        return b"".join(self._doc.save_to_bytes())
