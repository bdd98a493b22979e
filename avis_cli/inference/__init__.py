"""From a model and pictures with sound to a result: windows, association, gate, masks."""
