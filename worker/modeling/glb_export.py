"""Writing of GLB files.

Files have bounds and buffer-view targets, and the Khronos validator has no remark on them.
"""

from collections.abc import Callable, Mapping

import numpy as np
import pygltflib as gltf
from numpy.typing import NDArray

from dam_connector import __version__
from worker.modeling.textured_mesh import TexturedMesh, tangents

GENERATOR = f"dam-connector {__version__}"


def write_glb(model: TexturedMesh, name: str, extras: Mapping[str, str] | None = None) -> bytes:
    """Return a mesh as a GLB: one node, one mesh, one material.

    Args:
        model: The mesh.
        name: Of node, mesh and material, e.g. the SKU.
        extras: Labels in `asset.extras`.
    """
    document = new_document(extras)
    buffer = BinaryBuffer(document, model.wrap)
    attributes = gltf.Attributes(
        POSITION=buffer.add_accessor(model.positions, gltf.VEC3, gltf.ARRAY_BUFFER, bounds=True),
        NORMAL=buffer.add_accessor(model.normals, gltf.VEC3, gltf.ARRAY_BUFFER),
        TANGENT=buffer.add_accessor(tangents(model), gltf.VEC4, gltf.ARRAY_BUFFER)
        if "normal" in model.maps
        else None,
        TEXCOORD_0=buffer.add_accessor(model.uvs, gltf.VEC2, gltf.ARRAY_BUFFER)
        if model.has_pictures
        else None,
        COLOR_0=None
        if model.colors is None
        else buffer.add_accessor(model.colors, gltf.VEC4, gltf.ARRAY_BUFFER),
    )
    small = len(model.positions) < 65_535
    indices = model.faces.ravel().astype(np.uint16 if small else np.uint32)
    primitive = gltf.Primitive(
        attributes=attributes,
        indices=buffer.add_accessor(indices, gltf.SCALAR, gltf.ELEMENT_ARRAY_BUFFER),
        material=0,
    )
    document.materials.append(gltf_material(model, name, buffer.add_picture))
    document.meshes.append(gltf.Mesh(name=name, primitives=[primitive]))
    return buffer.finish(name)


def gltf_material(model: TexturedMesh, name: str, picture: Callable[[bytes], int]) -> gltf.Material:
    """Return the glTF material of a mesh.

    Args:
        model: The mesh.
        name: The material is called `<name>_material`.
        picture: Adds an encoded picture to the document and returns the index of its texture.
    """
    pbr = gltf.PbrMetallicRoughness(
        metallicFactor=model.metallic, roughnessFactor=model.roughness, baseColorFactor=list(model.color)
    )
    result = gltf.Material(name=f"{name}_material", pbrMetallicRoughness=pbr, alphaCutoff=None)
    if model.alpha_mode != "OPAQUE":
        result.alphaMode = model.alpha_mode
    if model.double_sided:
        result.doubleSided = True
    if model.texture is not None:
        pbr.baseColorTexture = gltf.TextureInfo(index=picture(model.texture))
    if "metallic_roughness" in model.maps:
        pbr.metallicRoughnessTexture = gltf.TextureInfo(index=picture(model.maps["metallic_roughness"]))
    if "normal" in model.maps:
        result.normalTexture = gltf.NormalMaterialTexture(index=picture(model.maps["normal"]))
    if "occlusion" in model.maps:
        result.occlusionTexture = gltf.OcclusionTextureInfo(index=picture(model.maps["occlusion"]))
    if "emissive" in model.maps:
        result.emissiveTexture = gltf.TextureInfo(index=picture(model.maps["emissive"]))
        result.emissiveFactor = [1.0, 1.0, 1.0]
    return result


def new_document(extras: Mapping[str, str] | None) -> gltf.GLTF2:
    """Return an empty document. extras: labels in `asset.extras`."""
    return gltf.GLTF2(asset=gltf.Asset(version="2.0", generator=GENERATOR, extras=dict(extras or {})))


class BinaryBuffer:
    """The binary chunk of a document while it is written; each buffer view begins at a multiple of four
    bytes."""

    def __init__(self, document: gltf.GLTF2, wrap: tuple[int, int]) -> None:
        """Begin a chunk. wrap: the modes of all pictures for u and v."""
        self._doc, self._data, self._wrap = document, bytearray(), wrap
        self._texture_of: dict[bytes, int] = {}  # by picture

    def add_view(self, data: bytes, target: int | None = None) -> int:
        """Add bytes; return the index of their buffer view. target: a buffer-view target of glTF."""
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
        """Add an encoded picture, once; return the index of its texture (with mipmaps).

        Args:
            data: JPEG or PNG, or another format with its `mime` type.
            mime: The media type; empty: JPEG or PNG by its first bytes.
            extension: The glTF extension that names the texture's source, e.g. `EXT_texture_webp`.
        """
        if data in self._texture_of:  # e.g. occlusion in the red channel of metal and roughness
            return self._texture_of[data]
        mime = mime or ("image/png" if data[:4] == b"\x89PNG" else "image/jpeg")
        self._doc.images.append(gltf.Image(bufferView=self.add_view(data), mimeType=mime))
        if not self._doc.samplers:
            self._doc.samplers.append(
                gltf.Sampler(
                    magFilter=gltf.LINEAR,
                    minFilter=gltf.LINEAR_MIPMAP_LINEAR,
                    wrapS=self._wrap[0],
                    wrapT=self._wrap[1],
                )
            )
        source = len(self._doc.images) - 1
        self._doc.textures.append(
            gltf.Texture(sampler=0, extensions={extension: {"source": source}})
            if extension
            else gltf.Texture(sampler=0, source=source)
        )
        return self._texture_of.setdefault(data, len(self._doc.textures) - 1)

    def finish(self, name: str) -> bytes:
        """Return the file: one node with the document's mesh."""
        self._doc.nodes.append(gltf.Node(name=name, mesh=0))
        self._doc.scenes.append(gltf.Scene(nodes=[0]))
        self._doc.scene = 0
        self._doc.buffers.append(gltf.Buffer(byteLength=len(self._data)))
        self._doc.set_binary_blob(bytes(self._data))
        return b"".join(self._doc.save_to_bytes())
