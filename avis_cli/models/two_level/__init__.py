"""What systems with AVISM's two levels share: a localizer reads each frame with its sound, a tracker the whole clip.

No system itself: AVISM and those that were built on it (`avis_cli.models.SYSTEMS`) take their parts from here.
"""
