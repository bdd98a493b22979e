"""A result in the files of other tools: annotation formats, tables, captions, cut-out video."""
