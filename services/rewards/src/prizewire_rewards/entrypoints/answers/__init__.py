"""What the routes answer: models with a description and an example of each member, by theme."""
