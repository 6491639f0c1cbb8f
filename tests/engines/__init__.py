"""The choice stage compiled, as Mesa agents, as textbook NumPy, as chunked NumPy; and the limit of the machine."""
