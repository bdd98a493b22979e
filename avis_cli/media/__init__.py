"""Video and sound files: the only place that knows PyAV. ``clip`` holds the types, ``decode`` reads, ``encode`` writes."""
