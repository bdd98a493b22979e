"""Video and sound files, and the only user of PyAV: ``clip`` has types, ``decode`` reads, ``encode`` writes."""
