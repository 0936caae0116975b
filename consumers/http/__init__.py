"""The HTTP server inside a run: a thread of its own, which reads what the loop has committed."""
