"""Long runs and outages: the real processes under steady calls while something around them fails."""
