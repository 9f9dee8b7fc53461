"""What the five services share: the application factory and its parts."""
