"""Results on disk: documents, folders, atomic writing, tables."""
