"""A plan in other people's formats."""
