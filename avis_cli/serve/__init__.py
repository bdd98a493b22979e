"""The page on which a stream is watched."""
