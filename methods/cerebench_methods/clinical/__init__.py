"""Clinical variables as features, and the baseline that sees nothing else."""
