"""The policy that PPO has trained: what it remembers, its network, and the files that ship. It needs only numpy."""
