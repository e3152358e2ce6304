"""How the proxy is, for people (`/health`) and for probes (`/health/live`, `/health/ready`)."""
