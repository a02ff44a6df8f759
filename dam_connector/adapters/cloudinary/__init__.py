"""The adapter for Cloudinary, one module per part."""
