"""What Prometheus reads: counters that all workers of a host share, and the route to them."""
