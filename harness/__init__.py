"""Real servers and projects, started for one test, benchmark or fault, and what drives them."""
