"""What runs outside the HTTP process, and is never imported by it: children, and their parent."""
