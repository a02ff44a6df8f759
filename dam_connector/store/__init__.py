"""The store: SQLAlchemy tables, the records on them, and content-addressed blobs."""
