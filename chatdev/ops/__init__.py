"""Tools around model servers: check an endpoint, start a server, benchmark endpoints."""
