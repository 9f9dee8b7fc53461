"""The leak audit: walks everything an agent can read, and says where the truth shows by anything but symptoms."""
