"""The router daemon: priority queues and link choice."""
