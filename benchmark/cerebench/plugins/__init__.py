"""How methods, cohorts, protocols, metrics and simulators of any distribution reach the harness. Imports no plugin."""
