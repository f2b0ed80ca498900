"""Ways to carry batches to a ground station and receipts back."""
