"""Help around servers: what an endpoint is good for, how to start one, how fast it is."""
