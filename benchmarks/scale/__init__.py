"""What `scale_plan.py` is made of: formulas, a simulation, measurements and tables."""
