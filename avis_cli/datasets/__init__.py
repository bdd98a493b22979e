"""Every dataset layout once: what lies where, read and written."""
