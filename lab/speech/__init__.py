"""Speech for the lab: rendered prompts and phone lines, and the tiny recognition models made from them."""
