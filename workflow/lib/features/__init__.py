"""What networks and control models make of the stimuli."""
