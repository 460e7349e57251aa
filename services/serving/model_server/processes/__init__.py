"""Child processes as the HTTP process sees them: one way to start, speak to and end each."""
