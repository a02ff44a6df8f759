"""Models from elsewhere: GLB, glTF, USDZ, OBJ and STEP become one GLB, read without trust."""
