"""Is this device who it says it is, now? What was asked, what came back, what it proves."""
