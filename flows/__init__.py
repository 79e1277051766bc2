"""How the job is run: flows, settings, deployments, the command line. It composes; it computes nothing."""
