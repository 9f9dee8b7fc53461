"""What the five services share: the application factory and what it is made of."""
