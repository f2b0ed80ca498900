"""Identities, tokens and trust: who may do what."""
