"""Energy-based diffusion models with exact draws."""
