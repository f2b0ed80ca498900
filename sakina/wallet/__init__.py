"""The wallet: a signed Markdown document of identities, grants and receipts. No currency."""
