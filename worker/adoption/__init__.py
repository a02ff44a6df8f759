"""Models from elsewhere: GLB, glTF, USDZ and OBJ become one GLB, read without trust."""
