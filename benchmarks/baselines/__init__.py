"""What the whole network is measured against: its frame level alone, linked over time by simpler means."""
