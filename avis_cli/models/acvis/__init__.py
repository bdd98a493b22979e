"""ACVIS (Seo et al., ICASSP 2026): AVISM with queries made of sound, and a token that counts what sounds."""
