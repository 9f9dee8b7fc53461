"""Tests of the policy that PPO has trained."""
