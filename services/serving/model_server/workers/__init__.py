"""Worker processes as the HTTP process sees them: started, fed, watched, restarted, ended."""
