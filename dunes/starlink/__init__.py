"""The Starlink dish and router: talk to them, and say whether the link is up."""
