"""Which images models are fitted to, and which they are tested on."""
