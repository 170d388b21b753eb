"""Health: the routes that operators and load balancers ask."""
