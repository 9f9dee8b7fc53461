"""How others reach a lab or an environment: each module speaks one tool's language. Nothing imports this floor."""
