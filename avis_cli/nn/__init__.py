"""Network modules that several systems share; tensors in, tensors out."""
